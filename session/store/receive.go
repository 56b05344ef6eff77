package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"tether/session/shared"
)

// block is how long a read waits for the next entry. This process's own beats come more often.
const block = 2 * time.Second

// receive reads the stream until the connection fails: from the beginning if this process has read nothing yet, or if the stream lacks
// what was read last; otherwise from there.
func (s *Store) receive(ctx context.Context, c *connection) error {
	continues, err := s.continues(ctx, c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if continues {
		s.ledger.Unsent()
	} else {
		s.ledger.Begin()
		s.last = idAt(s.clock.now() - s.deps.TTL().Milliseconds())
	}
	s.mu.Unlock()
	if !continues {
		if err := s.readAll(ctx, c); err != nil {
			return err
		}
	}
	s.conn.Store(c)
	s.awake()
	s.giveUp()
	for {
		entries, err := c.after(ctx, s.lastID(), block)
		if err != nil {
			return err
		}
		if s.apply(entries) {
			s.request(checkStream)
		}
	}
}

// readAll reads the stream from the last id to its end, and has the maps follow.
func (s *Store) readAll(ctx context.Context, c *connection) error {
	for {
		entries, err := c.after(ctx, s.lastID(), 0)
		if err != nil {
			return err
		}
		s.apply(entries)
		if len(entries) < pageSize {
			break
		}
	}
	s.mu.Lock()
	s.ledger.CaughtUp(s.clock.now())
	s.mu.Unlock()
	s.request(tellStrays)
	return nil
}

// continues reports whether the stream still has what this process has read last.
func (s *known) continues(ctx context.Context, c *connection) (bool, error) {
	last := s.lastID()
	if last == "" {
		return false, nil
	}
	return c.has(ctx, last)
}

func (s *known) lastID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// apply applies entries of the stream, and reports whether another process asks for a check of the stream.
func (s *known) apply(entries []rueidis.XRangeEntry) (asked bool) {
	if len(entries) == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range entries {
		asked = s.applyOne(&entries[i]) || asked
		s.last = entries[i].ID
	}
	s.health.received = time.Now()
	return asked
}

// applyOne applies an entry, and reports whether another process asks for a check of the stream. s.mu is held.
func (s *known) applyOne(e *rueidis.XRangeEntry) (asked bool) {
	var b shared.Batch
	text, known := e.FieldValues[shared.Version]
	if !known {
		s.counts.OtherVersion++
		return false
	}
	switch err := b.Read([]byte(text), s.deps.Check()); {
	case errors.Is(err, shared.ErrSecret):
		s.counts.OtherSecret++
		s.health.foreign = time.Now()
		return false
	case err != nil:
		s.counts.Damaged++
		return false
	}
	s.counts.Received++
	now, at := s.clock.now(), arrival(e.ID)
	fresh := now-at < peerLife.Milliseconds()
	if b.Beat != nil && fresh {
		s.peers.beat(b.From, b.Beat, time.Now())
	}
	if b.From == s.id && fresh {
		s.health.own = time.Now()
	}
	return s.ledger.Received(&b, at, max(now, at)) && fresh
}
