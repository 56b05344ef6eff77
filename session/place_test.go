package session

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Requests without a session go to the less loaded of two upstreams, and to all upstreams while these are idle.
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
		t.Errorf("the busiest upstream received %d", seen["vllm-2"])
	}
	for _, n := range []string{"vllm-0", "vllm-1", "vllm-3"} {
		if seen[n] < 80 {
			t.Errorf("%s received %d of 400", n, seen[n])
		}
	}
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
			t.Errorf("%s received %d of 40", n, c)
		}
	}
	if f.router.pins.Stats().Pins != 0 {
		t.Error("the router has pins although affinity is off")
	}
}

// Ready and More take no turns.
func TestQuestionsTakeNoTurns(t *testing.T) {
	f := newFleet(t, 2, nil)
	f.configure(func(c *Config) { c.Affinity = false })
	seen := map[string]int{}
	for range 40 {
		f.router.Ready()
		r := f.start(Request{})
		seen[r.Next(f.now).Name()]++
		r.More()
		r.End(f.now)
	}
	if seen["vllm-0"] != 20 || seen["vllm-1"] != 20 {
		t.Errorf("round robin went to %v", seen)
	}
}

// A request about a response whose server is not known starts at the response's place in the ring.
func TestUnknownResponse(t *testing.T) {
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

// Generators with equal seeds lead to equal places.
func TestEqualDraws(t *testing.T) {
	places := func(seed uint64) (names []string) {
		f := newFleet(t, 7, nil)
		f.router.intN = rand.New(rand.NewPCG(seed, 1)).IntN
		for range 100 {
			u, _ := f.answer(Request{}, 200)
			names = append(names, u.Name())
		}
		return names
	}
	a, b, c := places(1), places(1), places(2)
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("seeds 1, 1 and 2:\n%v\n%v\n%v", a, b, c)
	}
}

// Draws follow the weights.
func TestDrawsByWeight(t *testing.T) {
	f := newFleet(t, 2, nil)
	f.specs[1].Weight = 25
	f.apply()
	drawn := [2]int{}
	for range 5000 {
		drawn[f.router.draw(&candidates{view: f.router.view.Load()}, newPlace, -1)]++
	}
	if drawn[1] < 880 || drawn[1] > 1120 { // five sigma around 1000
		t.Errorf("drawn %v times, want 4000 and 1000", drawn)
	}
}
