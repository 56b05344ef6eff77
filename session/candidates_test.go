package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tether/session/identity"
	"tether/upstream"
	"tether/upstream/transport"
)

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

// Upstreams that drain or have weight 0 get no new session, even if there is no other upstream.
func TestNoPlaceForNewSessions(t *testing.T) {
	f := newFleet(t, 2, nil)
	f.up("vllm-0").Drain(false)
	f.specs[1].Weight = 0
	f.apply()
	if u, o := f.turn(testKey(1)); u != nil || o != None {
		t.Errorf("%s at %s", o, name(u))
	}
	if !f.router.Ready() {
		t.Error("not ready, although pinned sessions are served")
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
	// Without other upstreams, a suspect one does.
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
	f.want(u, o, leaving, Pinned) // it said so once: its sessions still go there
	for n := range 50 {
		if u, _ := f.turn(testKey(uint64(1000 + n))); u == leaving {
			t.Fatal("a new session went to a server that is leaving")
		}
	}
	leaving.SaidLeaving()
	u, o = f.turn(pinned[1])
	f.want(u, o, u, Moved)
	if u == leaving {
		t.Fatal("a session stayed on a server whose leaving is confirmed")
	}
	// The last usable server keeps its sessions.
	f.up("vllm-1").SetHealth(upstream.Down, "test")
	f.up("vllm-2").SetHealth(upstream.Down, "test")
	u, o = f.turn(pinned[2])
	f.want(u, o, leaving, Pinned)
	u, o = f.turn(testKey(2000))
	f.want(u, o, leaving, New)
	// After down and up it is no longer leaving.
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
		t.Errorf("%s received a request although all are down", u.Name())
	}
}

// Fail-open considers only the upstreams that serve the model.
func TestFailOpenByModel(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.assign("a", "a", "b")
	f.up("vllm-2").SetHealth(upstream.TimedOut, "slow")
	if u, _ := f.answer(Request{Key: testKey(1), Model: []byte("b")}, 200); u != f.up("vllm-2") {
		t.Errorf("went to %s", name(u))
	}
	f.up("vllm-1").SetHealth(upstream.TimedOut, "slow")
	if u, _ := f.answer(Request{Key: testKey(1), Model: []byte("a")}, 200); u != f.up("vllm-0") {
		t.Errorf("went to %s although another one is up", name(u))
	}
}

func TestModels(t *testing.T) {
	f := newFleet(t, 4, nil)
	for i := range 4 {
		f.up(fmt.Sprintf("vllm-%d", i)).SetModels(modelList([]string{"a", "b"}[i%2]))
	}
	for n := range 50 {
		u, _ := f.answer(Request{Key: testKey(uint64(n)), Model: []byte("a")}, 200)
		if !slices.Contains([]string{"vllm-0", "vllm-2"}, u.Name()) {
			t.Fatalf("model a went to %s", u.Name())
		}
	}
	// A model on no list may go to every upstream, and an upstream with an unknown list may serve every model.
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

// A model goes only to the upstreams that the configuration assigns it to, up or down.
func TestAssignedModels(t *testing.T) {
	f := newFleet(t, 4, nil)
	f.assign("a", "a b", "b", "a")
	f.up("vllm-2").SetModels(modelList("a")) // the configuration wins
	seen := map[string]bool{}
	for n := range 200 {
		u, o := f.answer(Request{Key: testKey(uint64(n)), Model: []byte("b")}, 200)
		if seen[u.Name()] = true; o != New {
			t.Fatal(o)
		}
	}
	if len(seen) != 2 || !seen["vllm-1"] || !seen["vllm-2"] {
		t.Errorf("model b went to %v", seen)
	}
	f.up("vllm-1").SetHealth(upstream.Down, "test")
	f.up("vllm-2").SetHealth(upstream.Down, "test")
	if r := f.start(Request{Key: testKey(1), Model: []byte("b")}); r.Next(f.now) != nil {
		t.Error("went to a server of another model")
	}
	if !f.router.Unserved([]byte("c")) || f.router.Unserved([]byte("b")) || f.router.Unserved(nil) {
		t.Error("unserved models")
	}
	if got := f.router.Models(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("models %v", got)
	}
	// An upstream without a list may serve any model.
	f.assign("a", "a b", "b", "")
	if f.router.Unserved([]byte("c")) {
		t.Error("a server without a list may serve it")
	}
	if u, _ := f.answer(Request{Key: testKey(2), Model: []byte("c")}, 200); u.Name() != "vllm-3" {
		t.Errorf("model c went to %s", u.Name())
	}
	f.up("vllm-3").SetModels(modelList("z"))
	if u, _ := f.answer(Request{Key: testKey(3), Model: []byte("c")}, 200); u.Name() != "vllm-3" {
		t.Errorf("a model on no list went to %v", name(u))
	}
	for n := range 50 {
		if u, _ := f.answer(Request{Key: testKey(uint64(300 + n)), Model: []byte("a")}, 200); u.Name() == "vllm-3" {
			t.Fatal("went to a server that does not list it")
		}
	}
}

// assign assigns models to each upstream in the configuration, "" for none.
func (f *fleet) assign(models ...string) {
	f.t.Helper()
	for i, m := range models {
		f.specs[i].Models = strings.Fields(m)
	}
	f.apply()
	for _, m := range f.registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
	}
}

// An upstream of other models can be added, removed, drained or go down without moving a session of this model.
func TestOtherModelsMoveNoSession(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFleet(t, rapid.IntRange(2, 8).Draw(rt, "upstreams"), nil)
		ours := func(i int) bool { return strings.Contains(strings.Join(f.specs[i].Models, " "), "a") }
		for i := range f.specs {
			f.specs[i].Models = strings.Fields(rapid.SampledFrom([]string{"a", "b", "a b"}).Draw(rt, "models"))
			f.specs[i].Weight = rapid.SampledFrom([]int{10, 50, 100}).Draw(rt, "weight")
		}
		f.specs[0].Models, f.specs[1].Models = []string{"a"}, []string{"b"}
		alone := rapid.Bool().Draw(rt, "alone") // with no upstream of another model at first
		others := f.specs
		if alone {
			f.specs = slices.DeleteFunc(slices.Clone(f.specs), func(s upstream.Spec) bool { return !slices.Contains(s.Models, "a") })
		}
		place := func() (places []string) {
			f.apply()
			for i, m := range f.registry.Table().Members {
				if ours(i) {
					m.SetHealth(upstream.Up, "test")
				}
			}
			for n := range 100 {
				e := f.router.Explain(Request{Key: testKey(uint64(n)), Model: []byte("a")}, f.now)
				places = append(places, name(e.Upstream), name(e.Home))
			}
			return places
		}
		before := place()
		if f.specs = others; alone {
			if after := place(); !slices.Equal(before, after) {
				rt.Fatalf("the first server of another model moved sessions:\n%v\n%v", before, after)
			}
		}
		other := rapid.IntRange(1, len(f.specs)-1).Filter(func(i int) bool { return !ours(i) }).Draw(rt, "other")
		switch rapid.IntRange(0, 3).Draw(rt, "change") {
		case 0:
			f.registry.Table().Members[other].SetHealth(upstream.Down, "test")
		case 1:
			f.specs = slices.Delete(f.specs, other, other+1)
			f.specs = append(f.specs, upstream.Spec{Name: "new", Address: transport.Address{Dial: "n"}, Slot: 99, Weight: 100, Models: []string{"b"}})
		case 2:
			f.specs[other].Weight = 1
		case 3:
			f.registry.Table().Members[other].Drain(true)
		}
		if after := place(); !slices.Equal(before, after) {
			rt.Fatalf("sessions moved:\n%v\n%v", before, after)
		}
	})
}

// A response does not lead a session or its pin to an upstream that takes no new sessions.
func TestNoTakeOver(t *testing.T) {
	for how, leave := range map[string]func(f *fleet, u *upstream.Upstream){
		"drained":      func(_ *fleet, u *upstream.Upstream) { u.Drain(false) },
		"drained hard": func(_ *fleet, u *upstream.Upstream) { u.Drain(true) },
		"leaving":      func(_ *fleet, u *upstream.Upstream) { u.SaidLeaving() },
		"weightless":   func(f *fleet, u *upstream.Upstream) { f.weightless(u) },
	} {
		f := newFleet(t, 4, nil)
		stored, home := f.up("vllm-2"), f.up("vllm-0")
		leave(f, stored)
		f.router.responses.Set(testKey(99), stored.Ref(), f.now)
		f.router.pins.Set(testKey(2), home.Ref(), f.now)
		for range 2 {
			u, o := f.answer(Request{Key: testKey(1), Response: testKey(99)}, 200)
			f.want(u, o, stored, Spilled)
			if _, pinned := f.router.pins.Peek(testKey(1), f.now); pinned {
				t.Errorf("%s: it became the place of a session", how)
			}
			u, o = f.answer(Request{Key: testKey(2), Response: testKey(99)}, 200)
			f.want(u, o, stored, Spilled)
			u, o = f.turn(testKey(2))
			f.want(u, o, home, Pinned)
		}
	}
}

// weightless sets the weight of an upstream to 0.
func (f *fleet) weightless(u *upstream.Upstream) {
	for i := range f.specs {
		if f.specs[i].Name == u.Name() {
			f.specs[i].Weight = 0
		}
	}
	f.apply()
}

// A session leaves a server that no longer serves its model, although the server is up.
func TestPinFollowsItsModel(t *testing.T) {
	for mode, want := range map[Return]Outcome{Stay: Moved, Home: Spilled} {
		f := newFleet(t, 4, func(c *testConfig) { c.Return = mode })
		for _, m := range f.registry.Table().Members {
			m.SetModels(modelList("a"))
		}
		req := Request{Key: testKey(1), Model: []byte("a")}
		home, o := f.answer(req, 200)
		f.want(home, o, home, New)
		home.SetModels(modelList("b"))
		second, o := f.answer(req, 200)
		f.want(second, o, second, want)
		home.SetModels(modelList("a"))
		u, o := f.answer(req, 200)
		if mode == Stay {
			f.want(u, o, second, Pinned)
		} else {
			f.want(u, o, home, Pinned)
		}
	}
}

// Each state of an upstream keeps it from certain purposes.
func TestObstacles(t *testing.T) {
	all := []purpose{newPlace, newPlaceFull, newPlaceDoubtful, newPlaceFailOpen, servePinned, serveStored, takeOver, stayPinned}
	for _, c := range []struct {
		state  string
		change func(f *fleet, u *upstream.Upstream)
		want   [8]obstacle // in the order of all
	}{
		{"up", func(*fleet, *upstream.Upstream) {}, [8]obstacle{}},
		{"weight 0", func(f *fleet, u *upstream.Upstream) { f.weightless(u) }, [8]obstacle{weightless, weightless, weightless, weightless, 0, 0, weightless}},
		{"draining", func(_ *fleet, u *upstream.Upstream) { u.Drain(false) }, [8]obstacle{draining, draining, draining, draining, 0, 0, draining}},
		{"draining hard", func(_ *fleet, u *upstream.Upstream) { u.Drain(true) }, [8]obstacle{draining, draining, draining, draining, draining, 0, draining, draining}},
		{"down", func(_ *fleet, u *upstream.Upstream) { u.SetHealth(upstream.Down, "") }, [8]obstacle{notUp, notUp, notUp, 0, notUp, notUp, notUp, notUp}},
		{"timed out", func(_ *fleet, u *upstream.Upstream) { u.SetHealth(upstream.TimedOut, "") }, [8]obstacle{notUp, notUp, notUp, 0, notUp, notUp, notUp, notUp}},
		{"all timed out", func(f *fleet, _ *upstream.Upstream) {
			for _, m := range f.registry.Table().Members {
				m.SetHealth(upstream.TimedOut, "")
			}
		}, [8]obstacle{notUp, notUp, notUp}},
		{"suspect", func(_ *fleet, u *upstream.Upstream) { u.Suspected("") }, [8]obstacle{suspect, suspect}},
		{"leaving", func(_ *fleet, u *upstream.Upstream) { u.SaidLeaving() }, [8]obstacle{leaving, leaving, 0, 0, 0, 0, leaving}},
		{"leaving confirmed", func(_ *fleet, u *upstream.Upstream) { u.SaidLeaving(); u.SaidLeaving() }, [8]obstacle{leaving, leaving, 0, 0, leaving, 0, leaving, leaving}},
		{"leaving confirmed, without an alternative", func(f *fleet, u *upstream.Upstream) {
			u.SaidLeaving()
			u.SaidLeaving()
			f.up("vllm-1").SetHealth(upstream.Down, "")
		}, [8]obstacle{leaving, leaving, 0, 0, 0, 0, leaving}},
		{"full", func(f *fleet, u *upstream.Upstream) { u.SaidFull(f.now) }, [8]obstacle{full}},
		{"full a while ago", func(f *fleet, u *upstream.Upstream) { u.SaidFull(f.now.Add(-3 * time.Second)) }, [8]obstacle{}},
		{"at its limit", func(_ *fleet, u *upstream.Upstream) { u.Limit(1); u.TakePlace() }, [8]obstacle{full, full, full, full, full}},
		{"at its limit and down", func(_ *fleet, u *upstream.Upstream) { u.Limit(1); u.TakePlace(); u.SetHealth(upstream.Down, "") }, [8]obstacle{notUp, notUp, notUp, full, notUp, notUp, notUp, notUp}},
		{"full and suspect", func(f *fleet, u *upstream.Upstream) { u.SaidFull(f.now); u.Suspected("") }, [8]obstacle{suspect, suspect}},
		{"leaving confirmed, the others full", func(f *fleet, u *upstream.Upstream) {
			u.SaidLeaving()
			u.SaidLeaving()
			f.up("vllm-1").SaidFull(f.now)
		}, [8]obstacle{leaving, leaving, 0, 0, leaving, 0, leaving, leaving}},
		{"another model", func(f *fleet, u *upstream.Upstream) {
			u.SetModels(modelList("other"))
			f.up("vllm-1").SetModels(modelList("m"))
		}, [8]obstacle{notServing, notServing, notServing, notServing, notServing, notServing, notServing, notServing}},
	} {
		f := newFleet(t, 2, nil)
		u := f.up("vllm-0")
		c.change(f, u)
		among := candidates{view: f.router.view.Load(), model: []byte("m"), now: f.now}
		for n, p := range all {
			if got := among.obstacle(0, p); got != c.want[n] {
				t.Errorf("%s, purpose %d: obstacle %d, want %d", c.state, p, got, c.want[n])
			}
		}
		among.tried = []*upstream.Server{u.Server}
		for _, p := range all {
			if got := among.obstacle(0, p); got != alreadyTried {
				t.Errorf("%s, purpose %d: obstacle %d of an upstream that was tried", c.state, p, got)
			}
		}
	}
}

// A server that has just refused a request because it is full gets no new sessions while another one may take them. Its own sessions
// still ask it first, and it has its homes back soon.
func TestFullServersComeLast(t *testing.T) {
	f := newFleet(t, 3, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	home.SaidFull(f.now)
	for n := uint64(10); n < 40; n++ {
		if u, _ := f.turn(testKey(n)); u == home {
			t.Fatal("a new session went to a server that is full")
		}
		if u, _ := f.turn(identity.Key{}); u == home {
			t.Fatal("a call without a session went to a server that is full")
		}
	}
	f.router.pins.Delete(k, f.now)
	if e := f.router.Explain(Request{Key: k}, f.now); e.Steps[0] != (Step{home, skipped, "full: it has just refused a request", 0}) || e.Upstream == home {
		t.Errorf("explained as %+v", e)
	}
	f.router.pins.Bind(k, home.Ref(), false, f.now)
	u, o := f.turn(k)
	f.want(u, o, home, Pinned)
	for _, m := range f.registry.Table().Members {
		m.SaidFull(f.now)
	}
	if e := f.router.Explain(Request{Key: testKey(49)}, f.now); e.Upstream != e.Home || !strings.HasSuffix(e.Why, "all of them are full") {
		t.Errorf("all are full: explained as %+v", e)
	}
	seen := map[*upstream.Upstream]bool{}
	for n := uint64(50); n < 80; n++ {
		u, _ := f.turn(testKey(n))
		seen[u] = true
	}
	if len(seen) != 3 {
		t.Errorf("all are full: new sessions go to %d servers", len(seen))
	}
	for _, m := range f.registry.Table().Members {
		if m.Upstream != home {
			m.SaidFull(f.now.Add(time.Minute))
		}
	}
	f.now = f.now.Add(4 * time.Second)
	if u, o := f.turn(testKey(99)); u != home || o != New {
		t.Errorf("%s at %s, want new at %s, which is no longer full", o, u.Name(), home.Name())
	}
}
