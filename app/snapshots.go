package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"tether/files"
	"tether/metrics"
	"tether/session/snapshot"
)

const (
	// snapshotEvery is how often the pins are written.
	snapshotEvery = 2 * time.Minute
	// restoreFor is how long after the start the pins of upstreams that were not known at the start are restored.
	restoreFor = 10 * time.Minute
)

// snapshots keeps the pins of a graph in a file. Without a path it does nothing.
type snapshots struct {
	*graph
	path    string
	log     *zap.Logger
	metrics *metrics.Metrics

	mu      sync.Mutex
	lock    *snapshot.Lock // guarded by mu: nil while another process has it
	file    *snapshot.File // guarded by mu: what is left to restore, nil for nothing
	started time.Time      // guarded by mu: when the file was opened
	given   bool           // guarded by mu: a new process has the file
}

// maps are the maps that are saved.
func (s *snapshots) maps() snapshot.Maps {
	return snapshot.Maps{Sessions: s.pins, Responses: s.stored, Openings: s.openings}
}

// open takes the lock and opens the snapshot of an earlier process. The error is one of the path.
func (s *snapshots) open() error {
	if s.path == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	s.lock, err = snapshot.Acquire(s.path)
	if errors.Is(err, snapshot.ErrLocked) {
		s.log.Error("no snapshot of pins is read or written: another process uses it", zap.String("path", s.path))
		return nil
	}
	if err != nil {
		return usageError("session.snapshot: %q cannot be written: %s, want a path in a folder that tether may write to", s.path, files.Reason(err))
	}
	s.openFile()
	return nil
}

// openFile opens the snapshot. s.mu is held.
func (s *snapshots) openFile() {
	var err error
	s.started = time.Now()
	if s.file, err = snapshot.Open(s.path, snapshot.Check(s.settings.Load().identifier)); err != nil {
		s.log.Error("the snapshot of pins cannot be used, all sessions are new", zap.String("path", s.path), zap.String("problem", files.Reason(err)))
	}
}

// restore makes the saved pins again whose upstreams are there now.
func (s *snapshots) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return
	}
	began := time.Now()
	done, err := s.file.Restore(s.registry.Table(), s.maps(), began)
	switch {
	case err != nil:
		s.log.Error("the snapshot of pins cannot be read to its end", zap.Int("pins", done.Pins), zap.Error(err))
	case done.Pins > 0 || done.Dropped > 0:
		s.log.Info("pins restored", zap.Int("pins", done.Pins), zap.Int("dropped", done.Dropped),
			zap.Int("unknown_upstreams", done.Unknown), zap.Duration("took", time.Since(began)))
	}
	if err != nil || done.Unknown == 0 || time.Since(s.started) > restoreFor {
		s.closeFile()
	}
}

// closeFile forgets what is left to restore. s.mu is held.
func (s *snapshots) closeFile() {
	if s.file != nil {
		_ = s.file.Close() // it was only read
		s.file = nil
	}
}

// run writes the pins every few minutes until ctx ends.
func (s *snapshots) run(ctx context.Context) error {
	tick := time.NewTicker(snapshotEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.write()
		}
	}
}

// write writes the pins, unless another process has the lock.
func (s *snapshots) write() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.given {
		return
	}
	if s.lock == nil {
		lock, err := snapshot.Acquire(s.path)
		if err != nil {
			return // the start has said so
		}
		s.lock = lock
		s.log.Info("snapshots of pins are written from now on: the other process has ended", zap.String("path", s.path))
	}
	began := time.Now()
	n, err := snapshot.Write(s.path, snapshot.Check(s.settings.Load().identifier), s.registry.Table(), s.maps(), began)
	s.metrics.SnapshotWritten(err == nil, time.Now())
	if err != nil {
		s.log.Error("snapshot of pins not written, the last one stays", zap.String("path", s.path), zap.String("problem", files.Reason(err)))
		return
	}
	s.log.Debug("snapshot of pins written", zap.Int("pins", n), zap.Duration("took", time.Since(began)))
}

// last writes the pins a last time, and gives the lock back.
func (s *snapshots) last(context.Context) error {
	s.write()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeFile()
	if s.lock == nil {
		return nil
	}
	err := s.lock.Unlock()
	s.lock = nil
	return err
}

// handOver writes the pins a last time, for a new process, and writes none any more.
func (s *snapshots) handOver() error {
	if s.path == "" {
		return nil
	}
	err := s.last(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = true
	return err
}

// takeBack ends handOver: the new process did not start.
func (s *snapshots) takeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = false // the next write takes the lock
}
