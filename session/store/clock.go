package store

import (
	"context"
	"time"
)

// clock estimates the store's clock by the process's own, which is never set.
type clock struct {
	start  time.Time
	offset int64 // what the store's clock is ahead of the time since start, in milliseconds
	known  bool
}

// setBack is by how many milliseconds the store's clock must differ from the estimate to have been set: below it, the estimate stays, so
// that times keep their order.
const setBack = 1000

func (c *clock) now() int64 {
	if !c.known {
		return time.Now().UnixMilli()
	}
	return time.Since(c.start).Milliseconds() + c.offset
}

// set notes the store's time. It returns by how much the estimate has changed.
func (c *clock) set(now int64) (change int64) {
	before := c.now()
	if change = now - before; c.known && change > -setBack && change < setBack {
		return 0
	}
	c.offset, c.known = now-time.Since(c.start).Milliseconds(), true
	return change
}

// setClock asks the store for the time.
func (s *known) setClock(ctx context.Context, c *connection) error {
	began := time.Now()
	now, err := c.clock(ctx)
	if err != nil {
		return err
	}
	now += time.Since(began).Milliseconds() / 2
	s.mu.Lock()
	defer s.mu.Unlock()
	if change := s.clock.set(now); change != 0 {
		s.ledger.Shift(change)
	}
	return nil
}
