package store

import (
	"context"
	"sync"
	"time"

	"tether/session/shared"
)

const (
	// beatEvery is how often a process shows that it is alive.
	beatEvery = time.Second
	// maxBatches is how many batches are sent at a time.
	maxBatches = 8
	// leastKept is how long the stream keeps entries at least, however short the time to live is.
	leastKept = time.Minute
)

// send moves changes to the ledger and batches to the store until ctx ends.
func (s *Store) send(ctx context.Context, parts *sync.WaitGroup) {
	defer parts.Done()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	sweep := time.NewTicker(s.sweepEvery())
	defer sweep.Stop()
	var changes []shared.Change
	due := true
	for {
		changes = s.take(changes[:0])
		if c := s.conn.Load(); c != nil {
			if err := s.sendAll(ctx, c, due); err != nil {
				s.fail(c, err)
			}
			due = false
		}
		select {
		case <-ctx.Done():
			return
		case <-s.deps.Changes.Added():
		case <-s.wake:
		case <-beat.C:
			due = true
			s.watch(time.Now())
		case <-sweep.C:
			s.sweep()
			sweep.Reset(s.sweepEvery())
		}
	}
}

// sweepEvery is the time between two sweeps of the ledger.
func (s *known) sweepEvery() time.Duration {
	return max(time.Millisecond, s.deps.TTL()/4/shared.Sweeps)
}

// sweep has the ledger forget, and repeat, what is due.
func (s *known) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.SetTTL(s.deps.TTL())
	s.ledger.Sweep(s.clock.now())
}

// oldest is the time from which on the stream must keep entries.
func (s *known) oldest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.now() - max(leastKept, s.deps.TTL()).Milliseconds() - 1000
}

// take moves the changes from the queue to the ledger.
func (s *Store) take(buf []shared.Change) []shared.Change {
	changes, lost := s.deps.Changes.Take(buf)
	if lost {
		s.request(tellStrays)
	}
	s.note(changes)
	return changes
}

// note tells the ledger of changes of this process.
func (s *known) note(changes []shared.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	for i := range changes {
		s.ledger.Changed(&changes[i], now)
	}
}

// sendAll sends what there is to be sent, with a beat if one is due.
func (s *Store) sendAll(ctx context.Context, c *connection, beat bool) error {
	for {
		texts := s.texts(beat)
		if len(texts) == 0 {
			return nil
		}
		if err := c.add(ctx, texts, s.oldest()); err != nil {
			return s.rejected(err)
		}
		if beat = false; len(texts) < maxBatches {
			return nil
		}
	}
}

// rejected returns the error if the connection cannot go on. What the server has rejected for another reason is sent again in a while.
func (s *Store) rejected(err error) error {
	switch t := troubleOf(err); t {
	case isFull, forbidden, wrongType, tooOld:
		s.noteTrouble(t)
		return nil
	}
	return err
}

// texts returns the texts of the next batches.
func (s *known) texts(beat bool) (all [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, check := s.clock.now(), s.deps.Check()
	for len(all) < maxBatches {
		var b shared.Batch
		if beat {
			b.Beat, beat = s.beat(), false
		}
		if !s.ledger.Fill(&b, now) {
			break
		}
		s.counts.Sent += uint64(len(b.Sightings))
		all = append(all, b.Append(nil, check))
	}
	return all
}

// beat is the sign of life of this process. s.mu is held.
func (s *known) beat() *shared.Beat {
	b := &shared.Beat{Version: s.deps.Version, Admin: s.deps.Admin, Started: s.start.UnixMilli(), Ring: s.deps.Ring()}
	if !s.health.received.IsZero() {
		b.Applied = time.Since(s.health.received)
	}
	return b
}
