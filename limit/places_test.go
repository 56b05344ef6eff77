package limit

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestPlaces(t *testing.T) {
	var p Places
	for range 5 {
		if !p.TakePlace() || p.AtLimit() {
			t.Fatal("refused without a limit")
		}
	}
	p.Limit(3) // five requests keep their places
	for range 3 {
		if p.TakePlace() || !p.AtLimit() {
			t.Fatal("took a place beyond the limit")
		}
		p.LeavePlace()
	}
	if !p.TakePlace() || !p.AtLimit() || p.TakePlace() {
		t.Error("want exactly one free place")
	}
	p.Limit(0)
	if p.AtLimit() || !p.TakePlace() {
		t.Error("the limit is gone, and still refuses")
	}
	for range 4 {
		p.LeavePlace()
	}
	defer func() {
		if recover() == nil {
			t.Error("a place was left that was not taken")
		}
	}()
	p.LeavePlace()
}

// Many goroutines at once never have more places than there are, and use all of them.
func TestPlacesAreNeverMoreThanTheLimit(t *testing.T) {
	const limit = 7
	var p Places
	p.Limit(limit)
	var now, most, served atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 2000 {
				if !p.TakePlace() {
					continue
				}
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				served.Add(1)
				now.Add(-1)
				p.LeavePlace()
			}
		})
	}
	all.Wait()
	if most.Load() > limit || served.Load() == 0 || p.taken.Load() != 0 {
		t.Errorf("%d at once, want at most %d; %d served, %d left over", most.Load(), limit, served.Load(), p.taken.Load())
	}
}
