package store

import (
	"context"
	"sync"
	"time"

	"tether/session/shared"
)

// job is what repair does beside the traffic, because it takes a while with many sessions.
type job uint8

const (
	tellStrays  job = iota // tell the others of the sessions that are elsewhere than at home: the ring is another one, or changes were lost
	checkStream            // read the stream and send again what it lacks
)

// anchorEvery is how often a process looks whether the stream still has an entry that it has read so long ago.
const anchorEvery = 5 * time.Second

// request has a job done soon.
func (s *Store) request(j job) {
	select {
	case s.ask <- j:
	default: // several are about to be done
	}
}

// repair does jobs until ctx ends.
func (s *Store) repair(ctx context.Context, parts *sync.WaitGroup) {
	defer parts.Done()
	look := time.NewTicker(anchorEvery)
	defer look.Stop()
	anchor := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if anchor != "" && s.hasLost(ctx, anchor) {
				s.check(ctx)
			}
			anchor = s.lastID()
		case j := <-s.ask:
			if j == tellStrays {
				s.tellStrays()
			} else {
				s.check(ctx)
			}
		}
		s.awake()
	}
}

// hasLost reports whether the stream certainly lacks an entry that it had: all of it was deleted or evicted.
func (s *Store) hasLost(ctx context.Context, id string) bool {
	c := s.conn.Load()
	if c == nil {
		return false // the next connection looks
	}
	has, err := c.has(ctx, id)
	return err == nil && !has
}

// tellStrays has the ledger know of the sessions that are elsewhere than at home. It knows most of them already.
func (s *Store) tellStrays() {
	const atATime = 256
	strays := make([]shared.Change, 0, atATime)
	flush := func() {
		s.note(strays)
		strays = strays[:0]
		s.awake()
	}
	s.deps.Strays(func(one *shared.Sighting) {
		if strays = append(strays, shared.Change{Sighting: *one}); len(strays) == atATime {
			flush()
		}
	})
	flush()
}

// check reads the stream from the beginning, while the traffic goes on, and sends again what it lacks.
func (s *Store) check(ctx context.Context) {
	c := s.conn.Load()
	if c == nil {
		return
	}
	s.mu.Lock()
	s.ledger.Check()
	end, id := s.last, idAt(s.clock.now()-s.deps.TTL().Milliseconds())
	s.mu.Unlock()
	for arrival(id) <= arrival(end) {
		entries, err := c.after(ctx, id, 0)
		if err != nil {
			s.fail(c, err)
			return
		}
		s.mu.Lock()
		for i := range entries {
			s.applyOne(&entries[i])
			id = entries[i].ID
		}
		s.mu.Unlock()
		if len(entries) < pageSize {
			break
		}
	}
	s.mu.Lock()
	s.ledger.CaughtUp(s.clock.now())
	s.mu.Unlock()
}
