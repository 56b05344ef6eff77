package session

import (
	"testing"
)

func TestCrowd(t *testing.T) {
	f := newFleet(t, 4, func(c *testConfig) { c.OpeningMaxInFlight = 8 })
	k := testKey(1)
	home, _ := f.answer(Request{Key: k, Synthetic: true, Shared: true}, 200)
	var inside []*Route
	for range 8 {
		r := f.start(Request{Key: k, Synthetic: true, Shared: true})
		f.want(r.Next(f.now), r.Outcome(), home, Pinned)
		home.Begin()
		inside = append(inside, r)
	}
	for range 20 {
		r := f.start(Request{Key: k, Synthetic: true, Shared: true})
		u := r.Next(f.now)
		if u == home || r.Outcome() != Spilled {
			t.Fatalf("%s at %s: the surplus went to the busiest server", r.Outcome(), u.Name())
		}
		r.Answered(200, f.now)
		r.End(f.now)
	}
	for _, r := range inside {
		home.End()
		r.End(f.now)
	}
	u, o := f.answer(Request{Key: k, Synthetic: true, Shared: true}, 200)
	f.want(u, o, home, Pinned)
	for i := range f.router.crowds.shards {
		if n := len(f.router.crowds.shards[i].n); n != 0 {
			t.Errorf("%d crowds left", n)
		}
	}
	// An id that a client chose for its conversation is no crowd.
	for range 20 {
		r := f.start(Request{Key: testKey(2)})
		r.Next(f.now)
		if o := r.Outcome(); o != New && o != Pinned {
			t.Fatalf("%s", o)
		}
		defer r.End(f.now)
	}
}
