package session

import (
	"math/rand/v2"
	"testing"
	"time"

	"tether/session/balance"
	"tether/session/identity"
)

// Follow-ups that no pin and no stored response knows are strange. Those of a session in the surplus of its crowd say nothing, and nor do
// first turns.
func TestFollowUps(t *testing.T) {
	f := newFleet(t, 2, func(c *testConfig) { c.MaxInFlight = 1 })
	f.now = f.now.Add(time.Hour)
	f.router.responses.Set(testKey(9), f.up("vllm-0").Ref(), f.now)
	f.turn(testKey(1))
	known, strange := 0, 0
	for _, c := range []struct {
		req            Request
		known, strange int
	}{
		{Request{Key: testKey(1)}, 0, 0},
		{Request{Key: testKey(1), FollowUp: true}, 1, 0},
		{Request{Key: testKey(2), FollowUp: true}, 0, 1},
		{Request{Key: testKey(2), FollowUp: true}, 1, 0}, // sent again
		{Request{Key: testKey(3), Response: testKey(9), FollowUp: true}, 1, 0},
		{Request{Response: testKey(9), FollowUp: true}, 1, 0},
		{Request{Key: testKey(1), Response: testKey(10), FollowUp: true}, 0, 1},
		{Request{Response: testKey(10), FollowUp: true}, 0, 1},
		{Request{Response: testKey(11)}, 0, 0},
		{Request{FollowUp: true}, 0, 0},
	} {
		f.answer(c.req, 200)
		known, strange = known+c.known, strange+c.strange
		if e := f.router.Replicas.Evidence(); int(e.Known+0.5) != known || int(e.Strange+0.5) != strange {
			t.Errorf("after %+v: %.1f known, %.1f strange; want %d, %d", c.req, e.Known, e.Strange, known, strange)
		}
	}
	first := f.start(Request{Key: testKey(4)})
	f.answer(Request{Key: testKey(4), FollowUp: true}, 200)
	first.End(f.now)
	f.configure(func(c *Config) { c.Affinity = false })
	f.answer(Request{Key: testKey(5), FollowUp: true}, 200)
	if e := f.router.Replicas.Evidence(); int(e.Strange+0.5) != strange {
		t.Errorf("%.1f strange, want %d", e.Strange, strange)
	}
}

// With auto a process that is one of several places by the ring alone. What is configured otherwise stays.
func TestPlacementAmongReplicas(t *testing.T) {
	for _, c := range []struct {
		configured, alone, among balance.Placement
	}{
		{balance.Auto, balance.Load, balance.Home},
		{balance.Load, balance.Load, balance.Load},
		{balance.Home, balance.Home, balance.Home},
	} {
		f := newFleet(t, 4, func(cfg *testConfig) { cfg.Balance.Placement = c.configured })
		check := func(want balance.Placement, explained bool) {
			t.Helper()
			got, why := f.router.Placement()
			r := f.start(Request{Key: testKey(1)})
			defer r.End(f.now)
			if got != want || r.candidates.byLoad != (want == balance.Load) || (why != "") != explained {
				t.Errorf("%s: in force %s because of %q, by load %v; want %s", c.configured, got, why, r.candidates.byLoad, want)
			}
		}
		check(c.alone, false)
		f.now = f.now.Add(time.Hour)
		for n := range uint64(100) {
			f.answer(Request{Key: testKey(100 + n), FollowUp: true}, 200)
		}
		if !f.router.Replicas.Suspected() {
			t.Fatal("nothing is suspected")
		}
		check(c.among, c.configured == balance.Auto)
	}
}

// The sessions of a server that has left the list are strange for a while. That says nothing of replicas.
func TestLostPinsAreExpected(t *testing.T) {
	f := newFleet(t, 2, nil)
	f.now = f.now.Add(time.Hour)
	follow := func(keys ...identity.Key) {
		for _, k := range keys {
			f.answer(Request{Key: k, FollowUp: true}, 200)
		}
	}
	follow(testKey(1), testKey(2))
	f.specs = f.specs[:1]
	f.apply()
	f.now = time.Now()
	for n := range uint64(100) {
		follow(testKey(n))
	}
	if e := f.router.Replicas.Evidence(); e.Known+e.Strange != 0 || f.router.Replicas.Suspected() {
		t.Errorf("%+v", e)
	}
}

// Three routers that share a fleet and get its requests at random find out within minutes, each by itself, and place by the ring then. One
// router that gets all of them does not.
func TestRoutersFindEachOther(t *testing.T) {
	for _, n := range []int{1, 3} {
		var routers []*fleet
		for range n {
			routers = append(routers, newFleet(t, 4, nil))
		}
		random := rand.New(rand.NewPCG(1, uint64(n)))
		start := routers[0].now
		at := map[int]time.Duration{} // when each router found out
		for second := range 16 * 60 {
			// A conversation begins every second. Each has six turns, 20 s apart.
			for turn := range 6 {
				key := second - 20*turn
				if key < 0 {
					continue
				}
				k := random.IntN(n)
				f := routers[k]
				f.now = start.Add(time.Duration(second) * time.Second)
				f.answer(Request{Key: testKey(uint64(key)), FollowUp: turn == 1}, 200)
				if _, seen := at[k]; !seen && f.router.Replicas.Suspected() {
					at[k] = time.Duration(second) * time.Second
				}
			}
		}
		for k, f := range routers {
			got, _ := f.router.Placement()
			want := balance.Load
			if n > 1 {
				want = balance.Home
			}
			if got != want {
				t.Errorf("router %d of %d places by %s, want %s", k+1, n, got, want)
			}
		}
		t.Logf("%d routers: found out after %v", n, at)
	}
}
