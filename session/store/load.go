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
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		report.Seq++
		report.At, report.Loads = s.sinceStart(), s.deps.TellLoad(s.othersLoad(), report.Loads[:0])
		if c := s.conn.Load(); c != nil {
			text := report.Append(nil, s.deps.Check()) // one of its own: after a timeout, the connection may still have to write it
			s.noteDeaf(c.publish(ctx, text), publishing)
		}
	}
}

// sinceStart is the time since the start of this process in milliseconds.
func (s *known) sinceStart() int64 { return time.Since(s.start).Milliseconds() }

// othersLoad returns the load of other processes.
func (s *known) othersLoad() (others map[uint64]shared.Load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	others, s.tellers = s.loads.Sum(s.sinceStart())
	return others
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
	case err == nil && s.loads.Received(&r, s.sinceStart()):
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
