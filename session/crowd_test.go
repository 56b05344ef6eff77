package session

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"tether/session/identity"
	"tether/upstream"
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
		if n := len(f.router.crowds.shards[i].of); n != 0 {
			t.Errorf("%d crowds left", n)
		}
	}
	// An id that a client chose for its conversation has a limit of its own.
	for range Default().MaxInFlight {
		r := f.start(Request{Key: testKey(2)})
		r.Next(f.now)
		if o := r.Outcome(); o != New && o != Pinned {
			t.Fatalf("%s", o)
		}
		defer r.End(f.now)
	}
}

// More requests in flight under one id than a conversation has are several conversations: the first ones stay where the session is,
// and the surplus goes to the less loaded servers. Ids that tether has just made have no crowd.
func TestHotSession(t *testing.T) {
	f := newFleet(t, 4, nil)
	k, limit := testKey(1), Default().MaxInFlight
	home, _ := f.answer(Request{Key: k}, 200)
	var all []*Route
	begin := func(req Request) (*upstream.Upstream, *Route) {
		r := f.start(req)
		all = append(all, r)
		return r.Next(f.now), r
	}
	for n := range limit {
		u, r := begin(Request{Key: k})
		f.want(u, r.Outcome(), home, Pinned)
		if home.Begin(); r.Hot() != 0 {
			t.Errorf("request %d is hot: %d", n+1, r.Hot())
		}
	}
	for n := range 5 {
		if u, r := begin(Request{Key: k}); u == home || r.Outcome() != Spilled || r.Hot() != limit+n+1 || r.Surplus() {
			t.Errorf("surplus %d: %s at %s, hot %d", n+1, r.Outcome(), name(u), r.Hot())
		}
	}
	if e := f.router.Explain(Request{Key: k}, f.now); e.InFlight != limit+5 || e.Outcome != Spilled || e.Pin != home || e.Upstream != nil {
		t.Errorf("explained: %d in flight, %s", e.InFlight, e.Outcome)
	}
	for range limit + 1 {
		if _, r := begin(Request{Key: testKey(3), Synthetic: true}); r.Outcome() == Spilled || r.Hot() != 0 {
			t.Fatalf("an id that tether has just made: %s, hot %d", r.Outcome(), r.Hot())
		}
	}
	for range 5 {
		if u, r := begin(Request{Key: k, Subagent: true}); u != home || r.Outcome() != Pinned || r.Hot() != 0 {
			t.Fatalf("a sub-agent: %s at %s, hot %d", r.Outcome(), name(u), r.Hot())
		}
	}
	if _, r := begin(Request{Key: testKey(2)}); r.Outcome() != New {
		t.Errorf("another session: %s", r.Outcome())
	}
	for range limit {
		home.End()
	}
	for _, r := range all {
		r.End(f.now)
		r.End(f.now)
	}
	if e := f.router.Explain(Request{Key: k}, f.now); e.InFlight != 0 || e.Upstream != home {
		t.Errorf("after the end of all: %d in flight, goes to %s", e.InFlight, name(e.Upstream))
	}
}

// A chain of stored responses goes where they are stored, however many chains one id has.
func TestStoredResponsesJoinNoCrowd(t *testing.T) {
	f := newFleet(t, 4, func(c *testConfig) { c.MaxInFlight = 1 })
	stored := f.up("vllm-2")
	f.router.responses.Set(testKey(9), stored.Ref(), f.now)
	for range 5 {
		r := f.start(Request{Key: testKey(1), Response: testKey(9)})
		defer r.End(f.now)
		if u := r.Next(f.now); u != stored || r.Hot() != 0 {
			t.Fatalf("went to %s, hot %d", name(u), r.Hot())
		}
	}
}

// The crowds are empty after every request has ended, whatever its end.
func TestCrowdsEndEmpty(t *testing.T) {
	f := newFleet(t, 4, func(c *testConfig) { c.MaxInFlight, c.OpeningMaxInFlight = 2, 2 })
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 500 {
				r := f.start(Request{Key: testKey(uint64(n%3 + worker%2)), Shared: n%5 == 0, Synthetic: n%5 == 0 || n%9 == 0})
				if n%3 > 0 && r.Next(f.now) != nil && n%3 > 1 {
					r.Answered([]int{200, 404, 503}[n%3], f.now)
				}
				runtime.Gosched()
				r.End(f.now)
			}
		})
	}
	all.Wait()
	for i := range f.router.crowds.shards {
		if n := len(f.router.crowds.shards[i].of); n != 0 {
			t.Errorf("%d crowds left", n)
		}
	}
}

// Crowds count as a map of all ids does, whatever the order in which requests begin and end, and forget ids without requests.
func TestCrowdsCountAsAMap(t *testing.T) {
	const limit = 3
	type request struct {
		key    identity.Key
		inside bool
	}
	c, model, random := newCrowds(), map[identity.Key][2]int{}, rand.New(rand.NewPCG(1, 2))
	var open []request
	for range 200_000 {
		if n := len(open); n > 0 && random.IntN(5_000) < n {
			at := random.IntN(n)
			r := open[at]
			open[at], open = open[n-1], open[:n-1]
			c.leave(r.key, r.inside)
			m := model[r.key]
			m[0]--
			if r.inside {
				m[1]--
			}
			if model[r.key] = m; m[0] == 0 {
				delete(model, r.key)
			}
			continue
		}
		k := identity.Key{Hi: random.Uint64N(2), Lo: random.Uint64N(1_000)}
		m := model[k]
		if all, full := c.look(k, limit); all != m[0] || full != (m[1] >= limit) {
			t.Fatalf("%d in flight, full %v; want %d, %d inside", all, full, m[0], m[1])
		}
		all, inside := c.enter(k, limit)
		if all != m[0]+1 || inside != (m[1] < limit) {
			t.Fatalf("%d in flight, inside %v; want %d, %d inside before", all, inside, m[0]+1, m[1])
		}
		m[0]++
		if inside {
			m[1]++
		}
		model[k] = m
		open = append(open, request{k, inside})
	}
	left := 0
	for i := range c.shards {
		left += len(c.shards[i].of)
	}
	if left != len(model) {
		t.Errorf("%d ids, want %d", left, len(model))
	}
}
