package session

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"tether/ring"
	"tether/upstream"
)

// drawFleet is a fleet in any state, where sessions are pinned anywhere.
func drawFleet(t *rapid.T, tb testing.TB) *fleet {
	f := newFleet(tb, rapid.IntRange(1, 6).Draw(t, "upstreams"), func(c *Config) {
		c.Return = rapid.SampledFrom([]Return{Stay, Home}).Draw(t, "return")
		c.OpeningMaxInFlight = 1
	})
	f.router.affinity = rapid.IntRange(0, 9).Draw(t, "affinity") > 0
	numbered := rapid.Bool().Draw(t, "numbered")
	for i := range f.specs {
		f.specs[i].Weight = rapid.SampledFrom([]int{0, 30, 100, 100, 100}).Draw(t, "weight")
		f.specs[i].Drain = rapid.IntRange(0, 9).Draw(t, "drain") == 0
		if !numbered {
			f.specs[i].Slot = ring.Unnumbered
		}
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
	if some("leaving for certain") {
		u.ProbeFailed()
	}
	if some("draining") {
		u.Drain(rapid.Bool().Draw(t, "hard"))
	}
	if some("models") {
		u.SetModels(models(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "model")))
	}
}

func drawAsk(t *rapid.T, f *fleet) Ask {
	ask := Ask{Made: rapid.Bool().Draw(t, "made"), Shared: rapid.Bool().Draw(t, "shared")}
	ask.Model = []byte(rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "asked model"))
	if rapid.IntRange(0, 5).Draw(t, "session") > 0 {
		ask.Key = testKey(rapid.Uint64().Draw(t, "key"))
	}
	if rapid.IntRange(0, 4).Draw(t, "response") == 0 {
		ask.Response = testKey(rapid.Uint64().Draw(t, "which"))
		if rapid.Bool().Draw(t, "known") {
			ref := rapid.SampledFrom(f.registry.Table().Members).Draw(t, "maker").Ref()
			f.router.responses.Set(ask.Response, ref, f.now)
		}
	}
	if ask.Key != (Key{}) && rapid.Bool().Draw(t, "pinned") {
		ref := rapid.SampledFrom(f.registry.Table().Members).Draw(t, "pin").Ref()
		f.router.pins.Bind(ask.Key, ref, ask.Made, f.now)
		f.router.pins.Confirm(ask.Key, ref, ref, ask.Made, f.now)
	}
	if ask.Shared && ask.Key != (Key{}) && rapid.Bool().Draw(t, "crowd") {
		f.router.crowds.enter(ask.Key)
	}
	return ask
}

// What is explained is what a request then meets: the upstream, the outcome, and a reason for everyone that was
// passed over.
func TestExplainAgreesWithRoute(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		f := drawFleet(rt, t)
		ask := drawAsk(rt, f)
		e := f.router.Explain(ask, f.now)
		r := f.start(ask)
		defer r.End(f.now)
		u := r.Next(f.now)
		if u != nil {
			r.Answered(200, f.now)
		}
		seen[fmt.Sprint(r.Outcome(), u != nil, e.Upstream != nil)]++
		verdicts := map[Verdict]int{}
		for i, s := range e.Steps {
			verdicts[s.Verdict]++
			if (s.Verdict == Skipped) != (s.Why != "") {
				rt.Fatalf("step %d: %s because of %q", i, s.Verdict, s.Why)
			}
			if s.Upstream == u && s.Verdict != Taken && s.Verdict != Candidate {
				rt.Fatalf("%s got it, said to be %s: %s", name(u), s.Verdict, s.Why)
			}
		}
		if len(e.Steps) != len(f.specs) {
			rt.Fatalf("%d steps over %d upstreams", len(e.Steps), len(f.specs))
		}
		if verdicts[Candidate] == 0 && e.Upstream != u {
			rt.Fatalf("explained %s (%s), was %s", name(e.Upstream), e.Why, name(u))
		}
		if u != nil && e.Outcome != r.Outcome() {
			rt.Fatalf("explained %s (%s), was %s", e.Outcome, e.Why, r.Outcome())
		}
		if (u != nil) != (verdicts[Taken]+verdicts[Candidate] > 0) || verdicts[Taken] > 1 {
			rt.Fatalf("%s got it, of %v", name(u), verdicts)
		}
	})
	t.Log(seen)
}

// home is the ring's place with everyone up.
func TestExplainedHome(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := drawFleet(rt, t)
		f.router.affinity = true
		k := testKey(rapid.Uint64().Draw(rt, "key"))
		e := f.router.Explain(Ask{Key: k}, f.now)
		for i := range f.specs {
			f.specs[i].Drain = false
			u := f.up(f.specs[i].Name)
			u.SetHealth(upstream.Down, "test")
			u.SetHealth(upstream.Up, "test")
			u.Undrain()
		}
		f.apply()
		if u, _ := f.turn(k); u != e.Home {
			rt.Fatalf("home is %s, said to be %s", name(u), name(e.Home))
		}
	})
}

// An explanation leaves everything as it was.
func TestExplainChangesNothing(t *testing.T) {
	f := newFleet(t, 4, func(c *Config) { c.OpeningMaxInFlight = 1 })
	made, crowd := testKey(1), testKey(2)
	home, _ := f.answer(Ask{Key: made, Made: true}, 200)
	f.router.crowds.enter(crowd)
	before, turn := f.router.pins.Stats(), f.router.turn.Load()
	for _, ask := range []Ask{{Key: made, Made: true}, {Key: testKey(3)}, {Key: crowd, Shared: true}, {Key: testKey(4), Shared: true}, {}, {Response: testKey(7)}} {
		for _, affinity := range []bool{true, false} {
			f.router.affinity = affinity
			f.router.Explain(ask, f.now)
		}
	}
	if after := f.router.pins.Stats(); after != before || after.Probation != 1 {
		t.Errorf("pins were %+v, are %+v", before, after)
	}
	if f.router.turn.Load() != turn {
		t.Error("turns were taken")
	}
	if f.router.crowds.full(testKey(4)) || !f.router.crowds.full(crowd) {
		t.Error("crowds changed")
	}
	f.router.affinity = true
	if u, o := f.answer(Ask{Key: made, Made: true}, 200); u != home || o != Pinned {
		t.Errorf("%s at %s", o, name(u))
	}
}

func TestExplainWords(t *testing.T) {
	f := newFleet(t, 5, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	var others []*upstream.Upstream
	for _, s := range f.router.Explain(Ask{Key: k}, f.now).Steps[1:] {
		others = append(others, s.Upstream)
	}
	home.SetHealth(upstream.Down, "probe could not connect")
	others[0].Drain(false)
	others[1].SetModels(models("other"))
	others[2].Suspected("test")
	others[3].SetModels(models("mine"))
	e := f.router.Explain(Ask{Key: k, Model: []byte("mine")}, f.now)
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
	if e := f.router.Explain(Ask{Key: k}, f.now); e.PinSkipped != "draining hard" {
		t.Errorf("%q", e.PinSkipped)
	}
}

// Explanations and requests at once: for the race detector.
func TestExplainBesideRequests(t *testing.T) {
	f := newFleet(t, 4, nil)
	var all sync.WaitGroup
	work := func(do func(n int)) {
		all.Go(func() {
			for n := range 2000 {
				do(n)
			}
		})
	}
	ask := func(n int) Ask {
		return Ask{Key: testKey(uint64(n % 50)), Made: true, Shared: true, Model: []byte("m")}
	}
	work(func(n int) { f.router.Explain(ask(n), f.now) })
	work(func(n int) { f.answer(ask(n), 200) })
	work(func(n int) {
		u := f.registry.Table().Members[n%4].Upstream
		u.SetHealth([]upstream.Health{upstream.Up, upstream.Down, upstream.TimedOut}[n%3], "test")
		u.SetModels(models("m"))
		u.Drain(n%2 == 0)
		u.Undrain()
	})
	work(func(n int) { f.router.Repin(ask(n).Key, f.registry.Table().Members[n%4].Upstream, f.now) })
	work(func(n int) { f.router.Forget(ask(n).Key, f.now) })
	all.Wait()
	pins := 0
	for _, m := range f.registry.Table().Members {
		pins += f.router.pins.Pins(m.Ref())
	}
	if got := f.router.pins.Stats().Pins; got != pins {
		t.Errorf("%d pins, %d by upstream", got, pins)
	}
}

// Of each source, Explain says what Identify made of it.
func TestExplainedSources(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) {
		c.Sources = []string{"header:X-A", "header:X-B", "cookie:c", "body:d", "body:e", "opening"}
	})
	for _, c := range []struct {
		req  request
		want string // a letter a source
	}{
		{request{headers: []string{"X-A: 1"}, body: hello, shape: Chat}, "wppppp"},
		{request{headers: []string{"X-A: 1", "x_a: 2", "X-B: a b", "Cookie: c=3"}, body: hello, shape: Chat}, "miwppp"},
		{request{body: `{"d":"` + strings.Repeat("x", 257) + `","e":"5"}`}, "aaaiwp"},
		{request{body: `{"d":"` + strings.Repeat(`\n`, 5000) + `","e":5}`}, "aaaiaa"},
		{request{body: hello, shape: Chat}, "aaaaaw"},
		{request{body: hello}, "aaaaaa"},
		{request{body: `{"previous_response_id":"r","input":"hi"}`, shape: Responses}, "aaaaaa"},
		{request{body: `"d"`}, "aaaaaa"},
	} {
		s := c.req.search(id)
		found := s.Trace()
		var i Identity
		s.Identify(&i, false)
		var got strings.Builder
		ignored, winner := 0, Source{}
		for _, f := range found {
			got.WriteByte("paimw"[f.Finding])
			switch f.Finding {
			case Invalid, Ambiguous:
				ignored++
			case Won:
				winner = f.Source
			}
		}
		if got.String() != c.want || i.Source != winner || s.Ignored != ignored {
			t.Errorf("%+v: %s, want %s; the winner is %v, ignored %d", c.req, got.String(), c.want, i.Source, s.Ignored)
		}
	}
}

func TestLookup(t *testing.T) {
	f := newFleet(t, 4, nil)
	id := mustIdentifier(t, nil)
	f.up("vllm-0").SetModels(models("a", "b"))
	f.up("vllm-1").SetModels(models("b", "c"))
	if got := fmt.Sprint(f.router.Models()); got != "[a b c]" {
		t.Error(got)
	}
	all := append(f.router.Models(), "")
	if hits := f.router.Lookup(id, []byte("s"), all, f.now); len(hits) != 0 {
		t.Errorf("%+v", hits)
	}
	f.turn(id.Key([]byte("b"), []byte("s")))
	f.turn(id.Key(nil, id.Foreign([]byte("s"))))
	hits := f.router.Lookup(id, []byte("s"), all, f.now)
	if len(hits) != 2 || hits[0].Model != "b" || hits[0].Foreign || hits[1].Model != "" || !hits[1].Foreign {
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
		t.Errorf("%d pins there, %d in all", n, f.router.pins.Stats().Pins)
	}
	if !f.router.Forget(hits[0].Key, f.now) || f.router.Forget(hits[0].Key, f.now) || f.router.Repin(hits[0].Key, to, f.now) {
		t.Error("a session that was forgotten is still known")
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
		{func() { u.Undrain(); u.SetModels(models("m")); f.up("vllm-1").SetModels(models("other")) }, "does not serve the model"},
	} {
		c.change()
		if got := f.router.Refusal(u, "other"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
