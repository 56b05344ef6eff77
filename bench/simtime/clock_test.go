package simtime

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// Events happen in the order of their times, then in the order in which they were scheduled.
func TestOrder(t *testing.T) {
	var c Clock
	var order []int
	add := func(d time.Duration, n int) {
		c.After(d, func() error { order = append(order, n); return nil })
	}
	add(2, 3)
	add(1, 1)
	add(1, 2)
	c.After(0, func() error { add(2, 4); return nil })
	var passed time.Duration
	if err := c.Run(func(d time.Duration) { passed += d }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(order, []int{1, 2, 3, 4}) || c.Now() != 2 || passed != 2 {
		t.Errorf("order %v, now %d, passed %d", order, c.Now(), passed)
	}
}

func TestErrorEndsRun(t *testing.T) {
	var c Clock
	broken := errors.New("broken")
	c.After(1, func() error { return broken })
	c.After(2, func() error { t.Error("an event happened after the error"); return nil })
	if err := c.Run(nil); err != broken {
		t.Error(err)
	}
}
