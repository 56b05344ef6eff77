package session

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"tether/session/identity"
	"tether/upstream"
	modellist "tether/upstream/models"
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

func TestDownMovesAndStays(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	home.SetHealth(upstream.Down, "test")
	second, o := f.turn(k)
	f.want(second, o, second, Moved)
	if second == home {
		t.Fatal("a pin beat health")
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

// Only the conversations of a server that died move; the others do not notice.
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

func TestRefusedIsAsDown(t *testing.T) {
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

// A failure that is no verdict leaves the pin: another server helps out once.
func TestBlipSpills(t *testing.T) {
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

// A first pin follows its request, and lasts only if the request was answered well.
func TestFirstPinIsUnconfirmed(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, o := f.answer(Request{Key: k}, 400)
	f.want(home, o, home, New)
	if _, ok := f.router.pins.Peek(k, f.now); ok {
		t.Error("a pin outlived an answer of 400")
	}
	r := f.start(Request{Key: k})
	r.Next(f.now)
	r.End(f.now)
	if _, ok := f.router.pins.Peek(k, f.now); ok {
		t.Error("a pin outlived a request without an answer")
	}
	r = f.start(Request{Key: k})
	r.Next(f.now)
	second := r.Next(f.now)
	r.Answered(200, f.now)
	r.End(f.now)
	f.want(second, r.Outcome(), second, New)
	u, o := f.turn(k)
	f.want(u, o, second, Pinned)
}

// A pin that another request took meanwhile is not its maker's to take back.
func TestTakenPinStays(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	maker := f.start(Request{Key: k})
	home := maker.Next(f.now)
	u, o := f.turn(k)
	f.want(u, o, home, Pinned)
	maker.Answered(500, f.now)
	maker.End(f.now)
	u, o = f.turn(k)
	f.want(u, o, home, Pinned)
}

// Of requests of one new session that come at once the first one's choice counts for all, even where the ring
// would now say otherwise.
func TestGetOrBind(t *testing.T) {
	f := newFleet(t, 8, nil)
	k := testKey(1)
	first, second := f.start(Request{Key: k}), f.start(Request{Key: k})
	home := first.Next(f.now)
	home.Suspected("test") // no new place any more
	f.want(second.Next(f.now), second.Outcome(), home, Pinned)
	for _, r := range []*Route{first, second} {
		r.Answered(200, f.now)
		r.End(f.now)
	}
}

func TestNewSessionsAtOnce(t *testing.T) {
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
					defer got[i].Cleared()
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

func TestDrain(t *testing.T) {
	f := newFleet(t, 2, nil)
	pinned := map[identity.Key]*upstream.Upstream{}
	for n := range 50 {
		pinned[testKey(uint64(n))], _ = f.turn(testKey(uint64(n)))
	}
	drained, other := f.up("vllm-0"), f.up("vllm-1")
	drained.Drain(false)
	for k, home := range pinned {
		u, o := f.turn(k)
		f.want(u, o, home, Pinned)
	}
	for n := range 50 {
		u, o := f.turn(testKey(uint64(1000 + n)))
		f.want(u, o, other, New)
	}
	drained.Drain(true)
	for k, home := range pinned {
		want := Pinned
		if home == drained {
			want = Moved
		}
		u, o := f.turn(k)
		f.want(u, o, other, want)
	}
	drained.Undrain()
	for k := range pinned {
		u, o := f.turn(k)
		f.want(u, o, other, Pinned)
	}
}

// Draining servers and those of weight 0 get no new session, not even where nobody else is left.
func TestNobodyTakesNewSessions(t *testing.T) {
	f := newFleet(t, 2, nil)
	f.up("vllm-0").Drain(false)
	f.specs[1].Weight = 0
	f.apply()
	if u, o := f.turn(testKey(1)); u != nil || o != None {
		t.Errorf("%s at %s", o, name(u))
	}
	if !f.router.Ready() {
		t.Error("not ready, though pinned sessions go on")
	}
}

func TestWeightZeroKeepsItsPins(t *testing.T) {
	f := newFleet(t, 2, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	for i := range f.specs {
		if f.specs[i].Name == home.Name() {
			f.specs[i].Weight = 0
		}
	}
	f.apply()
	u, o := f.turn(k)
	f.want(u, o, home, Pinned)
}

func TestSuspectGetsNoNewSessions(t *testing.T) {
	f := newFleet(t, 2, nil)
	suspect := f.up("vllm-0")
	k := identity.Key{}
	for n := uint64(0); k.IsZero(); n++ {
		if u, _ := f.turn(testKey(n)); u == suspect {
			k = testKey(n)
		}
	}
	suspect.Suspected("test")
	u, o := f.turn(k)
	f.want(u, o, suspect, Pinned)
	for n := range 50 {
		u, o := f.turn(testKey(uint64(1000 + n)))
		f.want(u, o, f.up("vllm-1"), New)
	}
	// Where nobody else is left, suspects do.
	f.up("vllm-1").SetHealth(upstream.Down, "test")
	u, o = f.turn(testKey(2000))
	f.want(u, o, suspect, New)
}

func TestLeaving(t *testing.T) {
	f := newFleet(t, 3, nil)
	leaving := f.up("vllm-0")
	var pinned []identity.Key
	for n := uint64(0); len(pinned) < 10; n++ {
		if u, _ := f.turn(testKey(n)); u == leaving {
			pinned = append(pinned, testKey(n))
		}
	}
	leaving.SaidLeaving()
	u, o := f.turn(pinned[0])
	f.want(u, o, leaving, Pinned) // said once: pinned sessions still go there
	for n := range 50 {
		if u, _ := f.turn(testKey(uint64(1000 + n))); u == leaving {
			t.Fatal("a new session went to a server that is leaving")
		}
	}
	leaving.SaidLeaving()
	u, o = f.turn(pinned[1])
	f.want(u, o, u, Moved)
	if u == leaving {
		t.Fatal("a session stayed with a server that is leaving for certain")
	}
	// Never the last usable one.
	f.up("vllm-1").SetHealth(upstream.Down, "test")
	f.up("vllm-2").SetHealth(upstream.Down, "test")
	u, o = f.turn(pinned[2])
	f.want(u, o, leaving, Pinned)
	u, o = f.turn(testKey(2000))
	f.want(u, o, leaving, New)
	// Down and up again: it is no longer leaving.
	leaving.SetHealth(upstream.Down, "test")
	leaving.SetHealth(upstream.Up, "test")
	if s := leaving.State(); s.Leaving() || s.LeavingConfirmed() {
		t.Errorf("still %s", s.Words())
	}
}

func TestFailOpen(t *testing.T) {
	f := newFleet(t, 2, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	for _, m := range f.registry.Table().Members {
		m.SetHealth(upstream.TimedOut, "test")
	}
	u, o := f.turn(k)
	f.want(u, o, home, Pinned)
	if u, o := f.turn(testKey(2)); u == nil || o != New {
		t.Errorf("%s at %s", o, name(u))
	}
	if !f.router.Ready() {
		t.Error("not ready")
	}
	f.up("vllm-0").SetHealth(upstream.Down, "test")
	f.up("vllm-1").SetHealth(upstream.Down, "test")
	if u, _ := f.turn(k); u != nil {
		t.Errorf("%s got a request though all are down", u.Name())
	}
}

// Removing an upstream drops its pins only, and a new one in its seat gets none of them.
func TestRemovedUpstream(t *testing.T) {
	f := newFleet(t, 3, nil)
	pinned := map[identity.Key]*upstream.Upstream{}
	for n := range 90 {
		pinned[testKey(uint64(n))], _ = f.turn(testKey(uint64(n)))
	}
	gone := f.up("vllm-1")
	f.specs[1].Address.Dial = "127.0.0.1:99" // another server of the same name
	f.apply()
	successor := f.up("vllm-1")
	if successor == gone || successor.Ref() == gone.Ref() || successor.Ref().Seat() != gone.Ref().Seat() {
		t.Fatalf("refs %x, %x", gone.Ref(), successor.Ref())
	}
	successor.SetHealth(upstream.Up, "test")
	if got := f.router.pins.Pins(successor.Ref()); got != 0 {
		t.Errorf("the successor has %d pins", got)
	}
	for k, home := range pinned {
		u, o := f.turn(k)
		if home == gone {
			f.want(u, o, successor, New) // its home, by name and slot
			continue
		}
		f.want(u, o, home, Pinned)
	}
}

func TestAddedUpstreamMovesNobody(t *testing.T) {
	f := newFleet(t, 3, nil)
	pinned := map[identity.Key]*upstream.Upstream{}
	for n := range 90 {
		pinned[testKey(uint64(n))], _ = f.turn(testKey(uint64(n)))
	}
	f.specs = append(f.specs, upstream.Spec{Name: "vllm-3", Slot: 3, Weight: 100})
	f.apply()
	f.up("vllm-3").SetHealth(upstream.Up, "test")
	for k, home := range pinned {
		u, o := f.turn(k)
		f.want(u, o, home, Pinned)
	}
}

func models(ids ...string) *modellist.List {
	var list []modellist.Model
	for _, id := range ids {
		list = append(list, modellist.Model{ID: id})
	}
	return modellist.New(list)
}

func TestModels(t *testing.T) {
	f := newFleet(t, 4, nil)
	for i := range 4 {
		f.up(fmt.Sprintf("vllm-%d", i)).SetModels(models([]string{"a", "b"}[i%2]))
	}
	for n := range 50 {
		u, _ := f.answer(Request{Key: testKey(uint64(n)), Model: []byte("a")}, 200)
		if !slices.Contains([]string{"vllm-0", "vllm-2"}, u.Name()) {
			t.Fatalf("model a went to %s", u.Name())
		}
	}
	// A model on no list goes by the ring over all, and an unknown list may have it.
	seen := map[string]bool{}
	for n := range 100 {
		u, _ := f.answer(Request{Key: testKey(uint64(1000 + n)), Model: []byte("c")}, 200)
		seen[u.Name()] = true
	}
	if len(seen) != 4 {
		t.Errorf("a model on no list went to %v", seen)
	}
	f.up("vllm-1").SetModels(nil)
	found := false
	for n := range 100 {
		u, _ := f.answer(Request{Key: testKey(uint64(2000 + n)), Model: []byte("a")}, 200)
		found = found || u.Name() == "vllm-1"
	}
	if !found {
		t.Error("a server with an unknown list got nothing")
	}
}

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
			t.Fatalf("%s at %s: the busiest server got the surplus", r.Outcome(), u.Name())
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
	// Ids that a client chose for its conversation are no crowd.
	for range 20 {
		r := f.start(Request{Key: testKey(2)})
		r.Next(f.now)
		if o := r.Outcome(); o != New && o != Pinned {
			t.Fatalf("%s", o)
		}
		defer r.End(f.now)
	}
}

// Calls without affinity go to the less loaded of two, and use all servers when they are idle.
func TestBalanced(t *testing.T) {
	f := newFleet(t, 4, nil)
	busy := f.up("vllm-2")
	for range 10 {
		busy.Begin()
	}
	seen := map[string]int{}
	for range 400 {
		u, o := f.answer(Request{}, 200)
		if o != None {
			t.Fatalf("outcome %s", o)
		}
		seen[u.Name()]++
	}
	if seen["vllm-2"] != 0 {
		t.Errorf("the busiest of all got %d", seen["vllm-2"])
	}
	for _, n := range []string{"vllm-0", "vllm-1", "vllm-3"} {
		if seen[n] < 80 {
			t.Errorf("%s got %d of 400", n, seen[n])
		}
	}
}

func TestPlace(t *testing.T) {
	f := newFleet(t, 4, nil)
	a, o := f.answer(Request{Response: testKey(12345)}, 200)
	f.want(a, o, a, None)
	for range 10 {
		u, o := f.answer(Request{Response: testKey(12345)}, 200)
		f.want(u, o, a, None)
	}
	u, o := f.answer(Request{Key: testKey(7), Synthetic: true, Response: testKey(12345)}, 200)
	f.want(u, o, a, New)
}

func TestAffinityOff(t *testing.T) {
	f := newFleet(t, 4, nil)
	f.configure(func(c *Config) { c.Affinity = false })
	seen := map[string]int{}
	for range 40 {
		u, o := f.turn(testKey(1))
		if o != None {
			t.Fatal(o)
		}
		seen[u.Name()]++
	}
	for n, c := range seen {
		if c != 10 {
			t.Errorf("%s got %d of 40", n, c)
		}
	}
	if f.router.pins.Stats().Pins != 0 {
		t.Error("pins without affinity")
	}
}

func TestEachAttemptAnother(t *testing.T) {
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

// BenchmarkRoute is what the way over the upstreams costs a request: pinned, new, and without affinity.
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
