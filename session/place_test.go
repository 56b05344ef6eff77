package session

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tether/session/balance"
	"tether/session/identity"
	"tether/upstream"
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
		f := newFleet(t, 7, func(cfg *testConfig) { cfg.Balance.Placement = balance.Home })
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

// formerly is the placement without the load of servers, as plain as can be. It draws from a generator of its own.
type formerly struct {
	intN func(n int) int
	turn uint32
	pins map[identity.Key]upstream.Ref
}

func (o *formerly) place(c *candidates, byRing bool, key uint64) (int, purpose) {
	for _, p := range []purpose{newPlace, newPlaceFull, newPlaceDoubtful, newPlaceFailOpen} {
		if p == newPlaceFailOpen && !c.failOpen() {
			break
		}
		if i := o.find(c, p, byRing, key); i >= 0 {
			return i, p
		}
	}
	return -1, 0
}

func (o *formerly) find(c *candidates, p purpose, byRing bool, key uint64) int {
	if byRing {
		walk := c.ring.Walk(key)
		return walk.Next(func(i int) bool { return c.eligible(i, p) })
	}
	a := o.draw(c, p, -1)
	b := o.draw(c, p, a)
	if b < 0 {
		return a
	}
	x, y := c.table.Members[a].Load(c.now), c.table.Members[b].Load(c.now)
	if x == y {
		o.turn++
	}
	if y < x || y == x && o.turn%2 == 0 {
		return b
	}
	return a
}

func (o *formerly) draw(c *candidates, p purpose, except int) int {
	n := len(c.table.Members)
	for range 8 {
		if i := o.intN(n); i != except && o.intN(100) < c.table.Members[i].Weight && c.eligible(i, p) {
			return i
		}
	}
	start := o.intN(n)
	for k := range n {
		if i := (start + k) % n; i != except && c.eligible(i, p) {
			return i
		}
	}
	return -1
}

// next is where a request that has tried some servers goes.
func (o *formerly) next(c *candidates, k identity.Key) int {
	if pinned := c.table.Index(o.pins[k]); pinned >= 0 && c.eligible(pinned, servePinned) {
		return pinned
	}
	i, _ := o.place(c, !k.IsZero(), k.Ring())
	if i >= 0 && !k.IsZero() && o.pins[k] == 0 {
		o.pins[k] = c.ref(i)
	}
	return i
}

// answered is what the answer of upstream i makes of the pin.
func (o *formerly) answered(c *candidates, k identity.Key, i int, refused bool) {
	all := c.ignoringTried()
	if at := c.table.Index(o.pins[k]); !k.IsZero() && at != i && c.cfg.Return == Stay && (refused || at < 0 || !all.eligible(at, servePinned)) {
		o.pins[k] = c.ref(i)
	}
}

// With placement: home every request goes where it went before load was known, whatever the load is.
func TestHomeIsAsBefore(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 9))
		f := newBusyFleet(t, 5, func(cfg *testConfig) {
			cfg.Balance.Placement = balance.Home
			if seed%2 == 1 {
				cfg.Return = Home
			}
		})
		f.specs[4].Weight = 30
		f.apply()
		members := f.registry.Table().Members
		f.router.intN = rand.New(rand.NewPCG(seed, 1)).IntN
		before := &formerly{intN: rand.New(rand.NewPCG(seed, 1)).IntN, pins: map[identity.Key]upstream.Ref{}}
		var open []*Route
		for n := range 3000 {
			f.now = f.now.Add(time.Duration(random.IntN(2000)) * time.Millisecond)
			switch m := members[random.IntN(len(members))]; random.IntN(12) {
			case 0:
				m.SetHealth(upstream.Down, "test")
			case 1, 2:
				m.SetHealth(upstream.Up, "test")
			case 3:
				m.SaidFull(f.now)
			case 4:
				m.SetHealth(upstream.TimedOut, "test")
			}
			req := prompt(identity.Key{}, int64(random.IntN(200_000)))
			if random.IntN(4) > 0 {
				req.Key = testKey(uint64(random.IntN(100)))
			}
			r, refused := f.start(req), false
			for range 1 + random.IntN(3) {
				c := r.candidates
				c.now, c.modelKnown = f.now, false
				want := before.next(&c, req.Key)
				u := r.Next(f.now)
				if u != c.upstream(want) {
					t.Fatalf("seed %d, request %d goes to %s, and went to %s before", seed, n, name(u), name(c.upstream(want)))
				}
				if u == nil {
					break
				}
				if random.IntN(4) > 0 {
					if r.pin.state == unconfirmed {
						before.pins[req.Key] = c.ref(want)
					}
					r.Answered(200, f.now)
					before.answered(&c, req.Key, want, refused)
					break
				}
				refused = refused || r.candidates.ref(r.last) == before.pins[req.Key]
				r.Refused()
			}
			if r.pin.state == unconfirmed {
				delete(before.pins, req.Key)
				r.End(f.now)
				continue
			}
			if open = append(open, r); len(open) > 10 {
				i := random.IntN(len(open))
				open[i].End(f.now)
				open = append(open[:i], open[i+1:]...)
			}
		}
	}
}
