package session

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"tether/ring"
	"tether/session/balance"
	"tether/session/pins"
	"tether/upstream"
)

// drawFleet returns a fleet in any state.
func drawFleet(t *rapid.T, tb testing.TB) *fleet {
	f := newFleet(tb, rapid.IntRange(1, 6).Draw(t, "upstreams"), func(c *testConfig) {
		c.Return = rapid.SampledFrom([]Return{Stay, Home}).Draw(t, "return")
		c.OpeningMaxInFlight, c.MaxInFlight = 1, 1
	})
	f.configure(func(c *Config) { c.Affinity = rapid.IntRange(0, 9).Draw(t, "affinity") > 0 })
	numbered := rapid.Bool().Draw(t, "numbered")
	for i := range f.specs {
		f.specs[i].Weight = rapid.SampledFrom([]int{0, 30, 100, 100, 100}).Draw(t, "weight")
		f.specs[i].Drain = rapid.IntRange(0, 9).Draw(t, "drain") == 0
		if !numbered {
			f.specs[i].Slot = ring.Unnumbered
		}
		f.specs[i].MaxInFlight = rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "limit")
		f.specs[i].Models = rapid.SampledFrom([][]string{nil, nil, {"a"}, {"a", "b"}}).Draw(t, "assigned")
	}
	f.apply()
	timeouts := rapid.IntRange(0, 4).Draw(t, "timeouts") == 0
	for _, m := range f.registry.Table().Members {
		drawState(t, m.Upstream)
		if timeouts {
			m.SetHealth(upstream.TimedOut, "slow")
		}
	}
	return f
}

func drawState(t *rapid.T, u *upstream.Upstream) {
	some := func(label string) bool { return rapid.IntRange(0, 3).Draw(t, label) == 0 }
	if some("not up") {
		u.SetHealth(rapid.SampledFrom([]upstream.Health{upstream.Unknown, upstream.Down, upstream.TimedOut}).Draw(t, "health"), "test")
	}
	if some("suspect") {
		u.Suspected("test")
	}
	if some("leaving") {
		u.SaidLeaving()
	}
	if some("leaving confirmed") {
		u.ProbeFailed()
	}
	if some("draining") {
		u.Drain(rapid.Bool().Draw(t, "hard"))
	}
	if some("a request") {
		u.TakePlace()
	}
	if some("models") {
		u.SetModels(modelList(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "model")))
	}
}

func drawRequest(t *rapid.T, f *fleet) Request {
	req := Request{Synthetic: rapid.Bool().Draw(t, "synthetic"), Shared: rapid.Bool().Draw(t, "shared")}
	req.Model = []byte(rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "requested model"))
	if rapid.IntRange(0, 5).Draw(t, "session") > 0 {
		req.Key = testKey(rapid.Uint64().Draw(t, "key"))
	}
	if rapid.IntRange(0, 4).Draw(t, "response") == 0 {
		req.Response = testKey(rapid.Uint64().Draw(t, "which"))
		if rapid.Bool().Draw(t, "known") {
			ref := rapid.SampledFrom(f.registry.Table().Members).Draw(t, "stored at").Ref()
			f.router.responses.Set(req.Response, ref, f.now)
		}
	}
	if !req.Key.IsZero() && rapid.Bool().Draw(t, "pinned") {
		ref := rapid.SampledFrom(f.registry.Table().Members).Draw(t, "pin").Ref()
		f.router.pins.Bind(req.Key, ref, req.Synthetic, f.now)
		f.router.pins.Confirm(req.Key, ref, ref, req.Synthetic, f.now)
	}
	if !req.Key.IsZero() && rapid.Bool().Draw(t, "crowd") {
		f.router.crowds.enter(req.Key, 1)
	}
	return req
}

// An explanation agrees with the request that follows it: on the upstream and the outcome. It has a reason for every
// skipped upstream.
func TestExplainAgreesWithRoute(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		f := drawFleet(rt, t)
		req := drawRequest(rt, f)
		e := f.router.Explain(req, f.now)
		r := f.start(req)
		defer r.End(f.now)
		u := r.Next(f.now)
		if u != nil {
			r.Answered(200, f.now)
		}
		seen[fmt.Sprint(r.Outcome(), u != nil, e.Upstream != nil)]++
		verdicts := map[verdict]int{}
		for i, s := range e.Steps {
			verdicts[s.Verdict]++
			if (s.Verdict == skipped) != (s.Why != "") {
				rt.Fatalf("step %d: %s because of %q", i, s.Verdict, s.Why)
			}
			if s.Upstream == u && s.Verdict != taken && s.Verdict != candidate {
				rt.Fatalf("%s was taken, explained as %s: %s", name(u), s.Verdict, s.Why)
			}
		}
		if len(e.Steps) != len(f.specs) {
			rt.Fatalf("%d steps over %d upstreams", len(e.Steps), len(f.specs))
		}
		if verdicts[candidate] == 0 && e.Upstream != u {
			rt.Fatalf("explained %s (%s), was %s", name(e.Upstream), e.Why, name(u))
		}
		if u != nil && e.Outcome != r.Outcome() {
			rt.Fatalf("explained %s (%s), was %s", e.Outcome, e.Why, r.Outcome())
		}
		if (u != nil) != (verdicts[taken]+verdicts[candidate] > 0) || verdicts[taken] > 1 {
			rt.Fatalf("%s was taken, of %v", name(u), verdicts)
		}
	})
	t.Log(seen)
}

// Home is the upstream that the ring gives while all are up.
func TestExplainedHome(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := drawFleet(rt, t)
		f.configure(func(c *Config) { c.Affinity = true })
		k := testKey(rapid.Uint64().Draw(rt, "key"))
		e := f.router.Explain(Request{Key: k}, f.now)
		for i := range f.specs {
			f.specs[i].Drain, f.specs[i].MaxInFlight = false, 0
			u := f.up(f.specs[i].Name)
			u.SetHealth(upstream.Down, "test")
			u.SetHealth(upstream.Up, "test")
			u.Undrain()
		}
		f.apply()
		if u, _ := f.turn(k); u != e.Home {
			rt.Fatalf("home is %s, explained as %s", name(u), name(e.Home))
		}
	})
}

// An explanation changes nothing.
func TestExplainChangesNothing(t *testing.T) {
	f := newFleet(t, 4, func(c *testConfig) { c.OpeningMaxInFlight = 1 })
	synthetic, crowd := testKey(1), testKey(2)
	home, _ := f.answer(Request{Key: synthetic, Synthetic: true}, 200)
	f.router.crowds.enter(crowd, 1)
	before, turn := f.router.pins.Stats(), f.router.turn.Load()
	for _, req := range []Request{{Key: synthetic, Synthetic: true}, {Key: testKey(3)}, {Key: crowd, Shared: true}, {Key: testKey(4), Shared: true}, {}, {Response: testKey(7)}} {
		for _, affinity := range []bool{true, false} {
			f.configure(func(c *Config) { c.Affinity = affinity })
			f.router.Explain(req, f.now)
		}
	}
	if after := f.router.pins.Stats(); after != before || after.Probation != 1 {
		t.Errorf("pins were %+v, are %+v", before, after)
	}
	if f.router.turn.Load() != turn {
		t.Error("turns were taken")
	}
	_, other := f.router.crowds.look(testKey(4), 1)
	if n, full := f.router.crowds.look(crowd, 1); other || n != 1 || !full {
		t.Error("crowds changed")
	}
	f.configure(func(c *Config) { c.Affinity = true })
	if u, o := f.answer(Request{Key: synthetic, Synthetic: true}, 200); u != home || o != Pinned {
		t.Errorf("%s at %s", o, name(u))
	}
}

func TestExplainWords(t *testing.T) {
	f := newFleet(t, 5, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	var others []*upstream.Upstream
	for _, s := range f.router.Explain(Request{Key: k}, f.now).Steps[1:] {
		others = append(others, s.Upstream)
	}
	home.SetHealth(upstream.Down, "probe could not connect")
	others[0].Drain(false)
	others[1].SetModels(modelList("other"))
	others[2].Suspected("test")
	others[3].SetModels(modelList("mine"))
	e := f.router.Explain(Request{Key: k, Model: []byte("mine")}, f.now)
	var text []string
	for _, s := range e.Steps {
		text = append(text, strings.TrimSuffix(fmt.Sprintf("%s: %s", s.Verdict, s.Why), ": "))
	}
	want := "skipped: down: probe could not connect; skipped: draining; skipped: does not serve the model; " +
		"skipped: suspect: requests had trouble connecting; taken"
	if got := strings.Join(text, "; "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if e.Pin != home || e.Home != home || e.PinSkipped != "down: probe could not connect" || e.Outcome != Moved {
		t.Errorf("%+v", e)
	}
	home.Drain(true)
	if e := f.router.Explain(Request{Key: k}, f.now); e.PinSkipped != "draining hard" {
		t.Errorf("%q", e.PinSkipped)
	}
}

// Explanations run beside requests: for the race detector.
func TestExplainDuringRequests(t *testing.T) {
	f := newFleet(t, 4, nil)
	var all sync.WaitGroup
	work := func(do func(n int)) {
		all.Go(func() {
			for n := range 2000 {
				do(n)
			}
		})
	}
	req := func(n int) Request {
		return Request{Key: testKey(uint64(n % 50)), Synthetic: true, Shared: true, Model: []byte("m")}
	}
	work(func(n int) { f.router.Explain(req(n), f.now) })
	work(func(n int) { f.answer(req(n), 200) })
	work(func(n int) {
		u := f.registry.Table().Members[n%4].Upstream
		u.SetHealth([]upstream.Health{upstream.Up, upstream.Down, upstream.TimedOut}[n%3], "test")
		u.SetModels(modelList("m"))
		u.Drain(n%2 == 0)
		u.Undrain()
	})
	work(func(n int) { f.router.Repin(req(n).Key, f.registry.Table().Members[n%4].Upstream, f.now) })
	work(func(n int) { f.router.Forget(req(n).Key, f.now) })
	all.Wait()
	pins := 0
	for _, m := range f.registry.Table().Members {
		pins += f.router.pins.Pins(m.Ref())
	}
	if got := f.router.pins.Stats().Pins; got != pins {
		t.Errorf("%d pins, %d by upstream", got, pins)
	}
}

// An explanation by load has the backlog of every upstream in seconds, and says why the winner won. It charges nothing.
func TestExplainsLoad(t *testing.T) {
	for _, c := range []struct {
		name            string
		pin             int // -1 for none
		cached          int64
		since           int64
		owed            [3]int64
		to              int
		outcome         Outcome
		away            balance.Reason
		why, pinSkipped string
		first           Step // of home, vllm-1
	}{
		{"home", -1, 0, 0, [3]int64{}, 1, New, balance.Stayed, "the first of its order that may take it", "", Step{Verdict: taken}},
		{
			"home is busier", -1, 0, 0,
			[3]int64{8000, 24_001, 16_000},
			0, New, balance.Busier,
			"the least busy one: the home of the session has over a second of work more", "",
			Step{Verdict: skipped, Why: "busier"},
		},
		{
			"pinned", 0, 19_000, 0, [3]int64{32_000, 0, 0}, 0, Pinned, balance.Stayed, "it is pinned there", "", Step{Verdict: notReached},
		},
		{
			"moves", 0, 19_000, 0,
			[3]int64{160_000, 0, 16_000},
			1, Moved, balance.Busier, "the least busy one that may take it",
			"it is so much busier than another one that the session is served sooner there",
			Step{Verdict: taken},
		},
		{
			"gone", 0, 19_000, 910_000,
			[3]int64{},
			1, Moved, balance.Gone, "the first of its order that may take it",
			"its cache of the session must be gone: too much was computed there since the session's last turn",
			Step{Verdict: taken},
		},
	} {
		f := newBusyFleet(t, 3, nil)
		k, members := f.homeOf(1), f.registry.Table().Members
		if c.pin >= 0 {
			f.router.pins.Bind(k, members[c.pin].Ref(), false, f.now)
			mark, settle := f.owe(c.pin, c.cached)
			f.router.pins.Note(k, members[c.pin].Ref(), pins.Turn{Prompt: c.cached, Mark: mark}, true, f.now)
			settle()
			_, settle = f.owe(c.pin, c.since)
			settle()
		}
		for i, n := range c.owed {
			f.owe(i, n)
		}
		e := f.router.Explain(prompt(k, 20_000), f.now)
		if e.Upstream != members[c.to].Upstream || e.Outcome != c.outcome || e.Away != c.away || e.Why != c.why || e.PinSkipped != c.pinSkipped {
			t.Errorf("%s: %s, %s because of %q: %s; the pin: %s", c.name, name(e.Upstream), e.Outcome, e.Away, e.Why, e.PinSkipped)
		}
		for _, s := range e.Steps {
			i := f.registry.Table().Index(s.Upstream.Ref())
			if want := float64(c.owed[i]) / 16_000; s.Backlog != want {
				t.Errorf("%s: %s has %v s of work, want %v", c.name, s.Upstream.Name(), s.Backlog, want)
			}
			if i == 1 && (s.Verdict != c.first.Verdict || s.Why != c.first.Why) {
				t.Errorf("%s: home is %s: %s", c.name, s.Verdict, s.Why)
			}
			if q := s.Upstream.Queue(f.now); q.Tokens != c.owed[i] {
				t.Errorf("%s: the explanation charged %d tokens", c.name, q.Tokens-c.owed[i])
			}
		}
		r := f.start(prompt(k, 20_000))
		if u := r.Next(f.now); u != e.Upstream {
			t.Errorf("%s: the request goes to %s", c.name, name(u))
		}
		r.Answered(200, f.now)
		if r.Outcome() != e.Outcome || r.Away() != e.Away {
			t.Errorf("%s: the request is %s because of %q", c.name, r.Outcome(), r.Away())
		}
		r.End(f.now)
	}
}
