package session

import (
	"sync"
	"testing"
	"time"

	"tether/session/balance"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/upstream"
	"tether/upstream/load"
)

// newBusyFleet is a fleet whose servers compute 16,000 tokens a second, and hold a million in their caches.
func newBusyFleet(t testing.TB, n int, change func(*testConfig)) *fleet {
	f := newFleet(t, n, change)
	f.router.estimates = prefill.New(prefill.Config{PrefillRate: map[string]float64{"m": 16_000}})
	for _, m := range f.registry.Table().Members {
		m.SaidLoad(load.EngineLoad{KVCapacity: 1_000_000, At: f.now})
	}
	return f
}

// prompt is a request whose prompt has so many tokens.
func prompt(k identity.Key, tokens int64) Request {
	return Request{Key: k, Model: []byte("m"), Bytes: 4 * tokens, Streams: true}
}

// homeOf returns a session whose home is upstream i.
func (f *fleet) homeOf(i int) identity.Key {
	for n := uint64(1); ; n++ {
		k := testKey(n)
		if walk := f.router.view.Load().ring.Walk(k.Ring()); walk.Next(func(int) bool { return true }) == i {
			return k
		}
	}
}

// owe charges an upstream with tokens that it does not compute before settle.
func (f *fleet) owe(i int, tokens int64) (mark uint32, settle func()) {
	c := &load.Charge{Work: tokens, Streams: true, Rate: 16_000, Patience: time.Hour}
	mark, _ = f.registry.Table().Members[i].Charge(c, f.now)
	return mark, func() { c.Settle(f.now) }
}

// The rule in numbers: home may be 16,000 tokens busier, and a pinned server 96,000 and twice what it has cached. A request in flight
// stands for 1,600.
func TestPlacesByLoad(t *testing.T) {
	for _, c := range []struct {
		name    string
		pin     int   // -1 for a new session, whose home is upstream 1
		cached  int64 // prompt of the last turn
		since   int64 // charged to the pin since that turn, and computed
		backlog [3]int64
		flight  [3]int
		down    int // upstream, -1 for none
		config  func(*testConfig)
		want    int
		work    int64
		away    balance.Reason
	}{
		{name: "home while all are idle", pin: -1, down: -1, want: 1, work: 20_000},
		{name: "home while it is a second busier", pin: -1, down: -1, backlog: [3]int64{0, 16_000, 0}, want: 1, work: 20_000},
		{name: "away from a busier home", pin: -1, down: -1, backlog: [3]int64{5, 16_001, 0}, want: 2, work: 20_000, away: balance.Busier},
		{name: "requests in flight count", pin: -1, down: -1, flight: [3]int{1, 11, 0}, want: 2, work: 20_000, away: balance.Busier},
		{name: "of equals the one with fewer requests in flight", pin: -1, down: -1, backlog: [3]int64{1600, 90_000, 0}, flight: [3]int{0, 0, 1}, want: 0, work: 20_000, away: balance.Busier},
		{name: "home is down", pin: -1, down: 1, backlog: [3]int64{9000, 0, 9000}, want: 2, work: 20_000, away: balance.Lost},
		{name: "pinned", pin: 0, cached: 19_000, down: -1, backlog: [3]int64{134_000, 0, 0}, want: 0, work: 1000},
		{name: "pinned, and hardly longer", pin: 0, cached: 19_999, down: -1, want: 0, work: 64},
		{name: "moves", pin: 0, cached: 19_000, down: -1, backlog: [3]int64{134_001, 5, 0}, want: 2, work: 20_000, away: balance.Busier},
		{name: "moves are off", pin: 0, cached: 19_000, down: -1, backlog: [3]int64{800_000, 0, 0}, want: 0, work: 1000, config: func(c *testConfig) { c.Balance.MoveWhenBusierBy = balance.Never }},
		{name: "moves sooner", pin: 0, cached: 19_000, down: -1, backlog: [3]int64{54_001, 0, 0}, want: 1, work: 20_000, away: balance.Busier, config: func(c *testConfig) { c.Balance.MoveWhenBusierBy = balance.Move(time.Second) }},
		{name: "moves from a server that is down to the least busy one", pin: 0, cached: 19_000, down: 0, backlog: [3]int64{0, 100, 0}, want: 2, work: 20_000, away: balance.Lost},
		{name: "still cached", pin: 0, cached: 19_000, since: 899_000, down: -1, want: 0, work: 1000},
		{name: "gone", pin: 0, cached: 19_000, since: 903_000, down: -1, want: 1, work: 20_000, away: balance.Gone},
		{name: "gone without placement by load", pin: 0, cached: 19_000, since: 903_000, backlog: [3]int64{1e9, 0, 0}, down: -1, want: 0, work: 1000, config: func(c *testConfig) { c.Balance.Placement = balance.Home }},
	} {
		f := newBusyFleet(t, 3, c.config)
		k := f.homeOf(1)
		members := f.registry.Table().Members
		if c.pin >= 0 {
			f.router.pins.Bind(k, members[c.pin].Ref(), false, f.now)
			mark, settle := f.owe(c.pin, c.cached)
			f.router.pins.Note(k, members[c.pin].Ref(), pins.Turn{Prompt: c.cached, Mark: mark}, true, f.now)
			settle()
			_, settle = f.owe(c.pin, c.since)
			settle()
		}
		for i, n := range c.backlog {
			f.owe(i, n)
			for range c.flight[i] {
				members[i].Begin()
			}
		}
		if c.down >= 0 {
			members[c.down].SetHealth(upstream.Down, "test")
		}
		r := f.start(prompt(k, 20_000))
		if u := r.Next(f.now); u != members[c.want].Upstream || r.charged.Work != c.work || r.Away() != c.away {
			t.Errorf("%s: %s with %d tokens of work because of %q, want vllm-%d, %d, %q", c.name, name(u), r.charged.Work, r.Away(), c.want, c.work, c.away)
		}
		r.Answered(200, f.now)
		r.End(f.now)
	}
}

// The load that other processes tell counts like that of this one, for a second.
func TestLoadOfOthers(t *testing.T) {
	for _, c := range []struct {
		name  string
		told  load.Share
		later time.Duration
		want  int
	}{
		{"a second of work", load.Share{Tokens: 16_000}, 0, 1},
		{"more than that", load.Share{Tokens: 16_001}, 0, 0},
		{"ten requests", load.Share{Requests: 10}, 0, 1},
		{"eleven requests", load.Share{Requests: 11}, 0, 0},
		{"nothing is told any more", load.Share{Tokens: 900_000}, load.ElsewhereFor + 1, 1},
	} {
		f := newBusyFleet(t, 2, nil)
		home := f.registry.Table().Members[1].Upstream
		home.SetElsewhere(c.told, f.now)
		f.now = f.now.Add(c.later)
		r := f.start(prompt(f.homeOf(1), 20_000))
		if u := r.Next(f.now); u != f.registry.Table().Members[c.want].Upstream {
			t.Errorf("%s: %s", c.name, name(u))
		}
		if idle := c.want != 1 || c.told.Tokens == 0 || c.later > 0; r.FoundIdle() != idle {
			t.Errorf("%s: found idle: %v", c.name, r.FoundIdle())
		}
		if got := BacklogSeconds(home, f.now); c.want != 1 && got != 0 {
			t.Errorf("%s: this process has sent %v s of work there", c.name, got)
		}
		r.End(f.now)
	}
}

// An upstream that owes a first token for longer than its limit takes no requests, unless all others are down. It is back with the first
// generated byte.
func TestHungUpstream(t *testing.T) {
	f := newBusyFleet(t, 3, nil)
	k := f.homeOf(1)
	hangs, start := f.registry.Table().Members[1].Upstream, f.now
	first := f.start(prompt(k, 16_000))
	if first.Next(f.now) != hangs {
		t.Fatal("the session does not begin at home")
	}
	first.Answered(200, f.now) // the head of a stream says nothing
	ask := func(k identity.Key) (*upstream.Upstream, balance.Reason) {
		r := f.start(prompt(k, 16_100))
		u := r.Next(f.now)
		away := r.Away()
		r.Answered(200, f.now)
		r.End(f.now)
		return u, away
	}
	f.now = start.Add(12 * time.Second) // 10 s, and twice the second that the prompt takes
	if u, _ := ask(k); u != hangs {
		t.Errorf("after 12 s the session goes to %s", name(u))
	}
	f.now = start.Add(12*time.Second + 1)
	for what, k := range map[string]identity.Key{"pinned": k, "new": {Hi: k.Hi, Lo: k.Lo + 1}} {
		if u, why := ask(k); u == hangs || why != balance.Hung {
			t.Errorf("after 12 s the %s session goes to %s because of %q", what, name(u), why)
		}
	}
	for _, i := range []int{0, 2} {
		f.registry.Table().Members[i].SetHealth(upstream.Down, "test")
	}
	if u, _ := ask(identity.Key{Hi: k.Hi, Lo: k.Lo + 2}); u != hangs {
		t.Errorf("the only upstream that is up is not used, but %s", name(u))
	}
	for _, i := range []int{0, 2} {
		f.registry.Table().Members[i].SetHealth(upstream.Up, "test")
	}
	first.Generated(f.now)
	if u, why := ask(identity.Key{Hi: k.Hi, Lo: k.Lo + 3}); u != hangs || why != balance.Stayed {
		t.Errorf("after the first byte a new session goes to %s because of %q", name(u), why)
	}
	first.End(f.now)
}

// The conversations of a dead upstream go to all others evenly, however few there are.
func TestOrphansSpread(t *testing.T) {
	f := newFleet(t, 4, nil)
	dead, others := f.up("vllm-1"), map[string]int{}
	var orphans []identity.Key
	for n := uint64(1); len(orphans) < 17; n++ {
		if u, _ := f.turn(testKey(n)); u == dead {
			orphans = append(orphans, testKey(n))
		}
	}
	byHome := map[string]int{}
	for _, k := range orphans {
		walk := f.router.view.Load().ring.Walk(k.Ring())
		byHome[f.registry.Table().Members[walk.Next(func(i int) bool { return i != 1 })].Name()]++
	}
	dead.SetHealth(upstream.Down, "test")
	for _, k := range orphans {
		u, o := f.turn(k)
		f.want(u, o, u, Moved)
		others[u.Name()]++
	}
	t.Logf("17 orphans went to %v; by the ring alone %v", others, byHome)
	for _, i := range []string{"vllm-0", "vllm-2", "vllm-3"} {
		if others[i] < 5 || others[i] > 6 {
			t.Errorf("%s has %d of 17 orphans", i, others[i])
		}
	}
	for _, k := range orphans {
		if u, o := f.turn(k); u == dead || o != Pinned {
			t.Errorf("an orphan is %s at %s", o, name(u))
		}
	}
}

// With return: home, a session spills to the same upstream as long as its own is down, so that it finds its cache.
func TestSpillsStay(t *testing.T) {
	f := newFleet(t, 4, func(cfg *testConfig) { cfg.Return = Home })
	k := testKey(1)
	home, _ := f.turn(k)
	home.SetHealth(upstream.Down, "test")
	first, _ := f.turn(k)
	for range 10 {
		u, o := f.turn(k)
		f.want(u, o, first, Spilled)
		f.turn(testKey(99))
	}
}

// Requests that arrive together, before any is answered, spread as well: each is charged when its upstream is chosen.
func TestRequestsAtOnceSpread(t *testing.T) {
	f := newFleet(t, 4, nil)
	seen := map[string]int{}
	var mu sync.Mutex
	var routes []*Route
	var all sync.WaitGroup
	for n := range 64 {
		all.Go(func() {
			r := f.start(prompt(identity.Key{}, int64(1000+n)))
			u := r.Next(f.now)
			mu.Lock()
			defer mu.Unlock()
			seen[u.Name()]++
			routes = append(routes, r)
		})
	}
	all.Wait()
	for _, m := range f.registry.Table().Members {
		if n := seen[m.Name()]; n < 15 || n > 17 {
			t.Errorf("%d of 64 requests went to %s", n, m.Name())
		}
	}
	for _, r := range routes {
		r.End(f.now)
	}
}

// Calls without a session follow the weights.
func TestWeightsOfCalls(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.specs[1].Weight, f.specs[2].Weight = 50, 0
	f.apply()
	for what, inFlight := range map[string]int{"one at a time": 1, "30 at once": 30} {
		seen := map[string]int{}
		var open []*Route
		for range 3000 {
			r := f.start(prompt(identity.Key{}, 1000))
			seen[r.Next(f.now).Name()]++
			if open = append(open, r); len(open) == inFlight {
				open[0].End(f.now)
				open = open[1:]
			}
		}
		for _, r := range open {
			r.End(f.now)
		}
		if seen["vllm-0"] < 1900 || seen["vllm-0"] > 2100 || seen["vllm-2"] != 0 {
			t.Errorf("%s: %v, want 2000 and 1000", what, seen)
		}
	}
}

// WebSockets may be idle, so those that are open do not make an upstream busy.
func TestTunnelsAreNoWork(t *testing.T) {
	f := newBusyFleet(t, 3, func(cfg *testConfig) { cfg.MaxInFlight = 1000 })
	k := f.homeOf(1)
	var open []*Route
	for range 200 {
		r := f.start(prompt(k, 0))
		if u := r.Next(f.now); u != f.up("vllm-1") {
			t.Fatalf("after %d WebSockets the session goes to %s", len(open), name(u))
		}
		r.Answered(101, f.now)
		open = append(open, r)
	}
	if u, o := f.turn(k); u != f.up("vllm-1") || o != Pinned {
		t.Errorf("%s at %s", o, name(u))
	}
	for _, r := range open {
		r.End(f.now)
	}
}

// With placement: home the ring alone places, however busy, silent or full of other prompts the upstreams are.
func TestHomeIgnoresLoad(t *testing.T) {
	f := newBusyFleet(t, 4, func(c *testConfig) { c.Balance.Placement = balance.Home })
	members := f.registry.Table().Members
	ringPlace := func(k identity.Key) *upstream.Upstream {
		walk := f.router.view.Load().ring.Walk(k.Ring())
		return members[walk.Next(func(i int) bool { return members[i].State().Health() == upstream.Up })].Upstream
	}
	turn := func(k identity.Key) (*upstream.Upstream, Outcome) {
		r := f.start(prompt(k, 20_000))
		defer r.End(f.now)
		u := r.Next(f.now)
		r.Answered(200, f.now)
		return u, r.Outcome()
	}
	const sessions = 200
	for i := range members {
		f.owe(i, int64(i)*1_000_000)
		members[i].Begin()
		members[i].Fail(0, time.Hour, 1_000_000, load.Failures{Requests: 9, Tokens: 1e6}, f.now)
	}
	f.now = f.now.Add(2 * time.Hour) // every upstream is silent for longer than its request has patience
	for n := range uint64(sessions) {
		u, o := turn(testKey(n))
		f.want(u, o, ringPlace(testKey(n)), New)
	}
	for i := range members {
		_, settle := f.owe(i, 2_000_000) // no prompt is cached any more
		settle()
	}
	homes := map[uint64]*upstream.Upstream{}
	for n := range uint64(sessions) {
		homes[n] = ringPlace(testKey(n))
		u, o := turn(testKey(n))
		f.want(u, o, homes[n], Pinned)
	}
	members[1].SetHealth(upstream.Down, "test")
	for n := range uint64(sessions) {
		u, o := turn(testKey(n))
		if homes[n] == members[1].Upstream {
			f.want(u, o, ringPlace(testKey(n)), Moved)
		} else {
			f.want(u, o, homes[n], Pinned)
		}
	}
}

// The backlog of an upstream is a time, by the rate of its last charge.
func TestBacklogSeconds(t *testing.T) {
	f := newFleet(t, 1, nil)
	u := f.registry.Table().Members[0].Upstream
	if got := BacklogSeconds(u, time.Now()); got != 0 {
		t.Errorf("%v s of an upstream that was never chosen", got)
	}
	u.Begin()
	u.Charge(&load.Charge{Work: 8000, Streams: true, Rate: 16_000}, time.Now())
	if got := BacklogSeconds(u, time.Now()); got != 0.6 {
		t.Errorf("%v s, want 0.5 of 8,000 tokens and 0.1 of a request", got)
	}
	u.Fail(0, time.Hour, 16_000, load.Failures{Requests: 9, Tokens: 1e6}, time.Now())
	if got := BacklogSeconds(u, time.Now()); got < 1.69 || got > 1.7 {
		t.Errorf("%v s, want 1.1 more for a request of 16,000 tokens that failed quickly", got)
	}
}
