package session

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"tether/upstream"
)

func TestNewThenPinned(t *testing.T) {
	f := newFleet(t, 4, nil)
	for n := range 100 {
		k := testKey(uint64(n))
		home, o := f.turn(k)
		f.want(home, o, home, New)
		for range 3 {
			u, o := f.turn(k)
			f.want(u, o, home, Pinned)
		}
	}
}

func TestSessionMovesAndStays(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	home.SetHealth(upstream.Down, "test")
	second, o := f.turn(k)
	f.want(second, o, second, Moved)
	if second == home {
		t.Fatal("a pin counts more than health")
	}
	u, o := f.turn(k)
	f.want(u, o, second, Pinned)
	home.SetHealth(upstream.Up, "test")
	u, o = f.turn(k)
	f.want(u, o, second, Pinned)
}

func TestReturnHome(t *testing.T) {
	f := newFleet(t, 4, func(c *testConfig) { c.Return = Home })
	k := testKey(1)
	home, _ := f.turn(k)
	home.SetHealth(upstream.Down, "test")
	second, o := f.turn(k)
	f.want(second, o, second, Spilled)
	u, o := f.turn(k)
	f.want(u, o, second, Spilled)
	home.SetHealth(upstream.Up, "test")
	u, o = f.turn(k)
	f.want(u, o, home, Pinned)
}

// Only the sessions of the server that is down move.
func TestOthersDoNotMove(t *testing.T) {
	f := newFleet(t, 8, nil)
	const sessions = 800
	homes := make([]*upstream.Upstream, sessions)
	for n := range homes {
		homes[n], _ = f.turn(testKey(uint64(n)))
	}
	dead := f.up("vllm-3")
	dead.SetHealth(upstream.Down, "test")
	for n, home := range homes {
		u, o := f.turn(testKey(uint64(n)))
		if home == dead {
			f.want(u, o, u, Moved)
			continue
		}
		f.want(u, o, home, Pinned)
	}
}

func TestRefusedCountsAsDown(t *testing.T) {
	for mode, want := range map[Return]Outcome{Stay: Moved, Home: Spilled} {
		f := newFleet(t, 4, func(c *testConfig) { c.Return = mode })
		k := testKey(1)
		home, _ := f.turn(k)
		r := f.start(Request{Key: k})
		f.want(r.Next(f.now), r.Outcome(), home, Pinned)
		r.Refused()
		second := r.Next(f.now)
		r.Answered(200, f.now)
		r.End(f.now)
		f.want(second, r.Outcome(), second, want)
		u, o := f.turn(k)
		if mode == Stay {
			f.want(u, o, second, Pinned)
		} else {
			f.want(u, o, home, Pinned)
		}
	}
}

// A failed attempt alone does not move the pin: another server serves this one request.
func TestShortFailureSpills(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	r := f.start(Request{Key: k})
	r.Next(f.now)
	second := r.Next(f.now)
	r.Answered(200, f.now)
	r.End(f.now)
	f.want(second, r.Outcome(), second, Spilled)
	u, o := f.turn(k)
	f.want(u, o, home, Pinned)
}

// The first of several concurrent requests of a new session chooses for all, even if the ring would now choose another
// upstream.
func TestGetOrBind(t *testing.T) {
	f := newFleet(t, 8, nil)
	k := testKey(1)
	first, second := f.start(Request{Key: k}), f.start(Request{Key: k})
	home := first.Next(f.now)
	home.Suspected("test") // no longer a new place
	f.want(second.Next(f.now), second.Outcome(), home, Pinned)
	for _, r := range []*Route{first, second} {
		r.Answered(200, f.now)
		r.End(f.now)
	}
}

func TestConcurrentRequestsOfANewSession(t *testing.T) {
	f := newFleet(t, 8, nil)
	for n := range 200 {
		var wg sync.WaitGroup
		got := make([]*upstream.Upstream, 8)
		for i := range got {
			wg.Go(func() {
				r := f.start(Request{Key: testKey(uint64(n))})
				got[i] = r.Next(f.now)
				if i%2 == 0 {
					got[i].Suspected("test")
					defer got[i].ProbeSucceeded()
				}
				r.Answered(200, f.now)
				r.End(f.now)
			})
		}
		wg.Wait()
		for _, u := range got {
			if u != got[0] {
				t.Fatalf("session %d went to %s and %s", n, u.Name(), got[0].Name())
			}
		}
	}
}

func TestEachAttemptGoesElsewhere(t *testing.T) {
	f := newFleet(t, 5, nil)
	r := f.start(Request{Key: testKey(1)})
	defer r.End(f.now)
	seen := map[*upstream.Upstream]bool{}
	for u := r.Next(f.now); u != nil; u = r.Next(f.now) {
		if seen[u] {
			t.Fatalf("%s twice", u.Name())
		}
		if r.More() != (len(seen) < 4) {
			t.Fatalf("more: %v after %d", r.More(), len(seen)+1)
		}
		seen[u] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d of 5", len(seen))
	}
}

func TestPinnedRouteAllocatesNothing(t *testing.T) {
	f := newFleet(t, 16, nil)
	k, model := testKey(1), []byte("m")
	f.turn(k)
	r := new(Route)
	if n := testing.AllocsPerRun(1000, func() {
		f.router.Start(r, Request{Key: k, Synthetic: true, Shared: true, Model: model}, f.now)
		r.Next(f.now)
		r.Answered(200, f.now)
		r.End(f.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRoute measures a request's route: of a pinned session, of a new one, and without a session.
func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{16, 512} {
		f := newFleet(b, n, func(c *testConfig) { c.Pins.Max = 1_000_000 })
		for name, req := range map[string]func(i int) Request{
			"pinned":   func(i int) Request { return Request{Key: testKey(uint64(i % 1000))} },
			"new":      func(i int) Request { return Request{Key: testKey(uint64(i)), Synthetic: true} },
			"balanced": func(int) Request { return Request{} },
		} {
			b.Run(fmt.Sprintf("%s/upstreams=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				var r Route
				for i := 0; b.Loop(); i++ {
					f.router.Start(&r, req(i), f.now)
					r.Next(f.now)
					r.Answered(200, f.now)
					r.End(f.now)
				}
			})
		}
	}
}

// A request that moves its session knows where the session was. Requests that follow, and those that only visit another upstream, do not move it.
func TestMovedFrom(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	turn := func(want *upstream.Upstream) {
		t.Helper()
		r := f.start(Request{Key: k})
		defer r.End(f.now)
		if r.Next(f.now); MovedFrom(r) != nil && MovedFrom(r) != want {
			t.Errorf("moved from %s before the answer, want %s", name(MovedFrom(r)), name(want))
		}
		r.Answered(200, f.now)
		if got := MovedFrom(r); got != want {
			t.Errorf("moved from %s, want %s", name(got), name(want))
		}
	}
	turn(nil)
	home, _ := f.turn(k)
	home.SetHealth(upstream.Down, "test")
	turn(home)
	turn(nil)
	second, _ := f.turn(k)
	f.specs = slices.DeleteFunc(f.specs, func(s upstream.Spec) bool { return s.Name == second.Name() })
	f.apply()
	turn(nil) // a session whose upstream is gone begins anew
	f = newFleet(t, 4, func(c *testConfig) { c.Return = Home })
	home, _ = f.turn(k)
	home.SetHealth(upstream.Down, "test")
	turn(nil)
}
