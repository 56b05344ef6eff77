package session

import (
	"fmt"
	"sync"
	"testing"

	"tether/ring"
	"tether/session/identity"
	"tether/upstream"
)

// A request that names no model follows the pin of its session, whatever the session's model is.
func TestAnyKey(t *testing.T) {
	id := newIdentifier(t)
	f := newFleet(t, 4, nil)
	for n, m := range f.registry.Table().Members {
		m.SetModels(modelList("base", fmt.Sprintf("adapter-%d", n%2)))
	}
	for n := range 100 {
		sid := fmt.Appendf(nil, "session-%d", n)
		adapter := []byte(fmt.Sprintf("adapter-%d", n%2))
		if n%3 == 0 {
			home, _ := f.answer(Request{Key: id.Key(adapter, sid), Model: adapter}, 200)
			u, o := f.guess(id, sid)
			f.want(u, o, home, Pinned)
			continue
		}
		home, _ := f.answer(Request{Key: id.Key([]byte("base"), sid), Model: []byte("base")}, 200)
		u, o := f.guess(id, sid)
		f.want(u, o, home, Pinned)
	}
	f = newFleet(t, 4, nil)
	if k, model := f.router.AnyKey(id, []byte("s"), f.now); !k.IsZero() || model != "" {
		t.Errorf("key %v, model %s although no model is known", k, model)
	}
}

// guess is a request about a response: it names no model.
func (f *fleet) guess(id *identity.Identifier, sid []byte) (*upstream.Upstream, Outcome) {
	f.t.Helper()
	k, model := f.router.AnyKey(id, sid, f.now)
	return f.answer(Request{Key: k, Model: []byte(model), ModelGuessed: true, Response: testKey(99)}, 200)
}

// The pin that a request without a model follows does not follow the response, which may belong to another model.
func TestGuessedPinsFollowNoResponse(t *testing.T) {
	id := newIdentifier(t)
	f := newFleet(t, 4, nil)
	f.assign("a", "a", "b", "b")
	for n := range 100 {
		sid := fmt.Appendf(nil, "session-%d", n)
		a := id.Key([]byte("a"), sid)
		home, _ := f.answer(Request{Key: a, Model: []byte("a")}, 200)
		u, o := f.guess(id, sid)
		f.want(u, o, home, Pinned)
		other := f.up("vllm-3")
		f.router.responses.Set(testKey(99), other.Ref(), f.now)
		u, o = f.guess(id, sid)
		f.want(u, o, other, Pinned)
		u, o = f.answer(Request{Key: a, Model: []byte("a")}, 200)
		f.want(u, o, home, Pinned)
		f.router.responses.Delete(testKey(99), f.now)
	}
}

// With several models, and without a pin, no model is guessed: the response's place in the ring decides, as for a request
// without a session, and every upstream is a candidate.
func TestNoModelIsGuessed(t *testing.T) {
	id := newIdentifier(t)
	f := newFleet(t, 4, nil)
	f.assign("a", "a", "b", "b")
	for _, down := range []string{"", "vllm-0", "vllm-1"} { // in the end no server of model a is up
		if down != "" {
			f.up(down).SetHealth(upstream.Down, "gone")
		}
		want, _ := f.answer(Request{Response: testKey(99)}, 404)
		for n := range 100 {
			if u, _ := f.guess(id, fmt.Appendf(nil, "session-%d", n)); u == nil || u != want {
				t.Fatalf("went to %s, want %s", name(u), name(want))
			}
		}
	}
}

// Removing an upstream drops its own pins only. The next upstream on its seat gets none of them.
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
			f.want(u, o, successor, New) // the home of its name and slot
			continue
		}
		f.want(u, o, home, Pinned)
	}
}

func TestAddedUpstreamMovesNoSession(t *testing.T) {
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

// New settings count for the requests that begin after Configure. A request keeps the settings that it began with.
func TestConfigure(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	before := f.start(Request{Key: k})
	f.configure(func(c *Config) { c.Return = Home })
	after := f.start(Request{Key: k})
	home.SetHealth(upstream.Down, "test")
	for _, c := range []struct {
		route *Route
		want  Outcome
	}{{after, Spilled}, {before, Moved}} {
		c.route.Next(f.now)
		c.route.Answered(200, f.now)
		c.route.End(f.now)
		if got := c.route.Outcome(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	f.configure(func(c *Config) { c.OpeningMaxInFlight = 1 })
	first, second := f.start(Request{Key: k, Shared: true}), f.start(Request{Key: k, Shared: true})
	if first.Surplus() || !second.Surplus() {
		t.Error("the crowd does not have its new limit")
	}
}

// Tables and settings are replaced beside requests, and none of them gets lost.
func TestConfigureDuringUse(t *testing.T) {
	f := newFleet(t, 4, nil)
	var all sync.WaitGroup
	all.Go(func() {
		for n := range 500 {
			f.configure(func(c *Config) { c.OpeningMaxInFlight = 1 + n })
		}
	})
	all.Go(func() {
		for n := range 500 {
			f.specs[0].Weight = 1 + n%100
			f.apply()
		}
	})
	all.Go(func() {
		for n := range 500 {
			f.answer(Request{Key: testKey(uint64(n)), Shared: true}, 200)
		}
	})
	all.Wait()
	if v := f.router.view.Load(); v.cfg.OpeningMaxInFlight != 500 || v.table.Members[0].Weight != 100 || v.table != f.registry.Table() {
		t.Errorf("%+v", v.cfg)
	}
}

// Check refuses what Use would refuse, before anything has changed.
func TestCheck(t *testing.T) {
	ranked := upstream.Spec{Name: "a", Ranks: 2, Slot: 1, Weight: 100}
	for _, c := range []struct {
		specs []upstream.Spec
		want  string
	}{
		{nil, ""},
		{[]upstream.Spec{ranked, {Name: "b", Slot: 0, Weight: 50}}, ""},
		{[]upstream.Spec{ranked, {Name: "b", Slot: 3, Weight: 50}}, `slot "b": number 3 is taken by "a@1"`},
		{[]upstream.Spec{ranked, {Name: "a@0", Slot: 5}}, `slot "a@0" is there twice`},
		{[]upstream.Spec{{Name: "a", Slot: ring.Unnumbered}, {Name: "b"}}, `slot "b": either all slots are numbered or none`},
	} {
		err := Check(c.specs)
		if got := fmt.Sprint(err); got != c.want && !(err == nil && c.want == "") {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
