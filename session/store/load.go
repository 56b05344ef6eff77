package store

import (
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"tether/session/shared"
)

const (
	// tellLoadEvery is how often a process tells of its load.
	tellLoadEvery = 200 * time.Millisecond
	// listenAgain is the time between two attempts to listen over one connection.
	listenAgain = time.Second
)

// tellLoad tells the other processes of this one's load, and this process of theirs, until ctx ends. A report that cannot be sent is lost: the
// next one replaces it.
func tellLoad(ctx context.Context, s *Store, parts *sync.WaitGroup) {
	defer parts.Done()
	tick := time.NewTicker(tellLoadEvery)
	defer tick.Stop()
	report := shared.Report{From: s.id}
	var text []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		others, now := s.othersLoad()
		report.Seq++
		report.At, report.Loads = now, s.deps.TellLoad(others, report.Loads[:0])
		if c := s.conn.Load(); c != nil {
			text = report.Append(text[:0], s.deps.Check())
			s.noteDeaf(c.publish(ctx, text), publishing)
		}
	}
}

// othersLoad returns the load of other processes, and the store's time.
func (s *known) othersLoad() (others map[uint64]shared.Load, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.clock.now()
	others, s.tellers = s.loads.Sum(now)
	return others, now
}

// hear receives reports over a connection until ctx ends.
func hear(ctx context.Context, s *Store, c *connection, parts *sync.WaitGroup) {
	defer parts.Done()
	for ctx.Err() == nil {
		err := c.listen(ctx, s.heard)
		s.noteDeaf(err, listening)
		select {
		case <-time.After(listenAgain):
		case <-ctx.Done():
		}
	}
}

// heard notes a report. One that is damaged or foreign is ignored and counted.
func (s *known) heard(text string) {
	var r shared.Report
	err := r.Read([]byte(text), s.deps.Check())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && s.loads.Received(&r, s.clock.now()):
		s.counts.Reports++
	case err != nil || r.From != s.id:
		s.counts.ReportsIgnored++
	}
	if err == nil && r.From == s.id {
		s.health.deaf[listening] = none
	}
}

// direction is that of reports.
type direction int

const (
	publishing direction = iota
	listening
	directions // how many there are
)

// noteDeaf notes why reports cannot be sent or received. What is wrong with the whole connection shows in the stream.
func (s *known) noteDeaf(err error, d direction) {
	_, byServer := rueidis.IsRedisErr(err)
	if err != nil && !byServer {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.deaf[d] = troubleOf(err)
}
