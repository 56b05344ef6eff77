package session

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tether/upstream"
	"tether/upstream/transport"
)

// assign gives each upstream the models that the configuration names for it, none for "".
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

// A model goes to those that have it by the configuration, up or not, and to nobody else.
func TestAssignedModels(t *testing.T) {
	f := newFleet(t, 4, nil)
	f.assign("a", "a b", "b", "a")
	f.up("vllm-2").SetModels(models("a")) // the configuration is right
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
	// Once one upstream has no list, it may serve anything.
	f.assign("a", "a b", "b", "")
	if f.router.Unserved([]byte("c")) {
		t.Error("a server without a list may serve it")
	}
	if u, _ := f.answer(Request{Key: testKey(2), Model: []byte("c")}, 200); u.Name() != "vllm-3" {
		t.Errorf("model c went to %s", u.Name())
	}
	f.up("vllm-3").SetModels(models("z"))
	if u, _ := f.answer(Request{Key: testKey(3), Model: []byte("c")}, 200); u.Name() != "vllm-3" {
		t.Errorf("a model on no list went to %v", name(u))
	}
	for n := range 50 {
		if u, _ := f.answer(Request{Key: testKey(uint64(300 + n)), Model: []byte("a")}, 200); u.Name() == "vllm-3" {
			t.Fatal("went to a server that does not list it")
		}
	}
}

// An upstream of another model comes, goes, dies and fills up without moving any session of this one.
func TestOtherModelsMoveNoSession(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFleet(t, rapid.IntRange(2, 8).Draw(rt, "upstreams"), nil)
		mine := func(i int) bool { return strings.Contains(strings.Join(f.specs[i].Models, " "), "a") }
		for i := range f.specs {
			f.specs[i].Models = strings.Fields(rapid.SampledFrom([]string{"a", "b", "a b"}).Draw(rt, "models"))
			f.specs[i].Weight = rapid.SampledFrom([]int{10, 50, 100}).Draw(rt, "weight")
		}
		f.specs[0].Models, f.specs[1].Models = []string{"a"}, []string{"b"}
		alone := rapid.Bool().Draw(rt, "alone") // nobody has another model before, or after
		others := f.specs
		if alone {
			f.specs = slices.DeleteFunc(slices.Clone(f.specs), func(s upstream.Spec) bool { return !slices.Contains(s.Models, "a") })
		}
		place := func() (places []string) {
			f.apply()
			for i, m := range f.registry.Table().Members {
				if mine(i) {
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
		other := rapid.IntRange(1, len(f.specs)-1).Filter(func(i int) bool { return !mine(i) }).Draw(rt, "other")
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
