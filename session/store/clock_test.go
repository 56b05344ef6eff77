package store

import (
	"testing"
	"time"
)

// The estimate stays while the store's clock differs little, and follows when it was set.
func TestClock(t *testing.T) {
	c := clock{start: time.Now()}
	if change := c.set(1_000_000_000); change == 0 || !c.known {
		t.Error("the first time is no change")
	}
	near := func(want int64) bool { d := c.now() - want; return d >= 0 && d < 1000 }
	if !near(1_000_000_000) {
		t.Error(c.now())
	}
	if change := c.set(c.now() + 500); change != 0 {
		t.Errorf("%d ms for a small difference", change)
	}
	if change := c.set(c.now() - 3_600_000); change > -3_599_000 || change < -3_601_000 || !near(1_000_000_000-3_600_000) {
		t.Errorf("%d ms for an hour", change)
	}
}
