package session

import (
	"fmt"
	"testing"

	"tether/upstream"
)

func TestLookup(t *testing.T) {
	f := newFleet(t, 4, nil)
	id := newIdentifier(t)
	f.up("vllm-0").SetModels(modelList("a", "b"))
	f.up("vllm-1").SetModels(modelList("b", "c"))
	if got := fmt.Sprint(f.router.Models()); got != "[a b c]" {
		t.Error(got)
	}
	all := append(f.router.Models(), "")
	if hits := f.router.Lookup(id, []byte("s"), all, f.now); len(hits) != 0 {
		t.Errorf("%+v", hits)
	}
	f.turn(id.Key([]byte("b"), []byte("s")))
	f.turn(id.Key(nil, id.Hashed([]byte("s"))))
	hits := f.router.Lookup(id, []byte("s"), all, f.now)
	if len(hits) != 2 || hits[0].Model != "b" || hits[0].Hashed || hits[1].Model != "" || !hits[1].Hashed {
		t.Fatalf("%+v", hits)
	}
	to := f.up("vllm-3")
	for _, h := range hits {
		if !f.router.Repin(h.Key, to, f.now) {
			t.Error("not moved")
		}
		if u, o := f.turn(h.Key); u != to || o != Pinned {
			t.Errorf("%s at %s", o, name(u))
		}
	}
	if n := f.router.pins.Pins(to.Ref()); n != 2 || f.router.pins.Stats().Pins != 2 {
		t.Errorf("%d pins to it, %d in all", n, f.router.pins.Stats().Pins)
	}
	if !f.router.Forget(hits[0].Key, f.now) || f.router.Forget(hits[0].Key, f.now) || f.router.Repin(hits[0].Key, to, f.now) {
		t.Error("a forgotten session still has a pin")
	}
	if n := f.router.pins.Pins(to.Ref()); n != 1 {
		t.Errorf("%d pins left", n)
	}
}

func TestRefusal(t *testing.T) {
	f := newFleet(t, 2, nil)
	u := f.up("vllm-0")
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() {}, ""},
		{func() { u.Suspected("test") }, ""},
		{func() { u.SaidLeaving() }, ""},
		{func() { u.SaidLeaving() }, "leaving: it said that it is shutting down"},
		{func() { u.SetHealth(upstream.Down, "test") }, "down: test"},
		{func() { u.SetHealth(upstream.Up, "test"); u.Drain(false) }, "draining"},
		{func() { u.Drain(true) }, "draining hard"},
		{func() { u.Undrain(); u.SetModels(modelList("m")); f.up("vllm-1").SetModels(modelList("other")) }, "does not serve the model"},
	} {
		c.change()
		if got := f.router.Refusal(u, "other"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
