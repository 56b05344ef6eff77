package session

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"tether/session/balance"
	"tether/session/identity"
	"tether/upstream"
)

// limited is a fleet of n servers with a limit each.
func limited(t testing.TB, n, limit int) *fleet {
	f := newFleet(t, n, nil)
	for i := range f.specs {
		f.specs[i].MaxInFlight = limit
	}
	f.apply()
	return f
}

// A full server is no new place. A session that is pinned to it is served elsewhere for the moment, and its pin stays.
func TestFullServerSpills(t *testing.T) {
	f := limited(t, 3, 1)
	k := testKey(1)
	home, _ := f.turn(k)
	holder := f.start(Request{Key: k})
	f.want(holder.Next(f.now), holder.Outcome(), home, Pinned)
	spilled := f.start(Request{Key: k})
	if u := spilled.Next(f.now); u == home || spilled.Outcome() != Spilled || spilled.Away() != balance.Full {
		t.Errorf("%s at %s, away because %q; want spilled elsewhere because it is full", spilled.Outcome(), name(u), spilled.Away())
	}
	spilled.Answered(200, f.now)
	spilled.End(f.now)
	for n := uint64(10); n < 40; n++ {
		if u, o := f.turn(testKey(n)); u == home || o != New {
			t.Errorf("a new session: %s at %s", o, name(u))
		}
		if u, _ := f.turn(identity.Key{}); u == home {
			t.Error("a call without a session went to a full server")
		}
	}
	holder.Answered(200, f.now)
	holder.End(f.now)
	u, o := f.turn(k)
	f.want(u, o, home, Pinned)
}

// If all servers are full, none gets the request, and the route says why. A server that is down is no reason.
func TestAllFull(t *testing.T) {
	f := limited(t, 2, 1)
	f.up("vllm-1").SetHealth(upstream.Down, "test")
	k := testKey(1)
	home, _ := f.turn(k)
	holder := f.start(Request{Key: k})
	holder.Next(f.now)
	for _, req := range []Request{{Key: k}, {Key: testKey(2)}, {}, {Key: k, Shared: true}} {
		r := f.start(req)
		if u := r.Next(f.now); u != nil || !f.lackedPlace(r) {
			t.Errorf("%+v went to %s, or servers are not full", req, name(u))
		}
		r.End(f.now)
	}
	holder.End(f.now)
	home.SetHealth(upstream.Down, "test")
	r := f.start(Request{Key: k})
	if u := r.Next(f.now); u != nil || f.lackedPlace(r) {
		t.Errorf("all are down: went to %s, or servers are full", name(u))
	}
	r.End(f.now)
}

// lackedPlace reports whether r found no upstream because servers are at their limits.
func (f *fleet) lackedPlace(r *Route) bool {
	full, shed, waits := r.Unanswered(f.now)
	return full && !shed && !waits
}

// A request about a stored response waits for its server: no other has the response.
func TestStoredResponseAtFullServer(t *testing.T) {
	f := limited(t, 3, 1)
	stored := f.up("vllm-1")
	f.router.responses.Set(testKey(9), stored.Ref(), f.now)
	if !stored.TakePlace() {
		t.Fatal("no place")
	}
	req := Request{Key: testKey(1), Response: testKey(9)}
	if e := f.router.Explain(req, f.now); e.Upstream != nil || e.Why != "the one that made the response that the request is about is full: it has as many requests in flight as its max_in_flight" {
		t.Errorf("explained as %s: %s", name(e.Upstream), e.Why)
	}
	r := f.start(req)
	if u := r.Next(f.now); u != nil || !f.lackedPlace(r) {
		t.Errorf("went to %s, or servers are not full", name(u))
	}
	r.End(f.now)
	stored.LeavePlace()
	if u, _ := f.answer(req, 200); u != stored {
		t.Errorf("went to %s", name(u))
	}
}

// The sessions of a server that is leaving move to another one, although their own request takes its last place.
func TestMoveTakesTheLastPlace(t *testing.T) {
	f := limited(t, 2, 1)
	k := testKey(1)
	home, _ := f.turn(k)
	home.SaidLeaving()
	home.SaidLeaving()
	u, o := f.turn(k)
	f.want(u, o, u, Moved)
	if u == home {
		t.Error("the session stayed at a server that is leaving")
	}
}

// A retry gives the place at the first server back, and all ranks of a server share its limit.
func TestPlacesFollowAttempts(t *testing.T) {
	f := limited(t, 2, 1)
	r := f.start(Request{Key: testKey(1)})
	first := r.Next(f.now)
	second := r.Next(f.now)
	if first.AtLimit() || !second.AtLimit() {
		t.Error("the place did not move with the request")
	}
	r.End(f.now)
	r.End(f.now)
	if second.AtLimit() {
		t.Error("a place is left")
	}

	for i := range f.specs {
		f.specs[i].Ranks = 2
	}
	f.apply()
	for _, m := range f.registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
	}
	one, two := f.start(Request{Key: testKey(1)}), f.start(Request{Key: testKey(2)})
	u, v := one.Next(f.now), two.Next(f.now)
	if u.Server == v.Server {
		t.Errorf("%s and %s are of one server, whose limit is 1", u.Name(), v.Name())
	}
	one.End(f.now)
	two.End(f.now)
}

// Whatever requests do at once, no server has more of them than its limit, and no place is lost.
func TestLimitIsNeverPassed(t *testing.T) {
	const limit = 3
	f := limited(t, 3, limit)
	f.specs[0].Ranks, f.specs[1].Ranks, f.specs[2].Ranks = 2, 2, 2
	f.apply()
	for _, m := range f.registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
	}
	servers := f.registry.Table().Servers
	var now [3]atomic.Int64
	var served, refused atomic.Int64
	at := map[*upstream.Server]*atomic.Int64{}
	for i, s := range servers {
		at[s] = &now[i]
	}
	var all sync.WaitGroup
	for worker := range 48 {
		all.Go(func() {
			for n := range 300 {
				req := Request{Key: testKey(uint64(worker*7 + n%5)), Shared: n%4 == 0}
				if n%6 == 0 {
					req = Request{}
				}
				r := f.start(req)
				for range 1 + n%3 {
					u := r.Next(f.now)
					if u == nil {
						refused.Add(1)
						break
					}
					served.Add(1)
					if here := at[u.Server].Add(1); here > limit {
						t.Errorf("%d requests at %s", here, u.Server.Name())
					}
					runtime.Gosched()    // with the place
					at[u.Server].Add(-1) // before Next or End gives the place back
				}
				r.Answered(200, f.now)
				r.End(f.now)
			}
		})
	}
	all.Wait()
	if served.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d served, %d refused: want both", served.Load(), refused.Load())
	}
	for _, s := range servers {
		for range limit {
			if !s.TakePlace() {
				t.Fatalf("%s: a place is lost", s.Name())
			}
		}
		if s.TakePlace() {
			t.Errorf("%s has more places than its limit", s.Name())
		}
	}
}
