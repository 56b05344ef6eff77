package session

import (
	"fmt"
	"testing"
	"time"

	"tether/session/identity"
	"tether/upstream"
)

// A first pin that another request took and was answered well under is confirmed: its maker's blip does not move it.
func TestPinThatWasTakenStays(t *testing.T) {
	for _, status := range []int{200, 500} {
		f := newFleet(t, 4, nil)
		k := testKey(1)
		maker := f.start(Request{Key: k})
		home := maker.Next(f.now)
		u, o := f.turn(k)
		f.want(u, o, home, Pinned)
		maker.Next(f.now) // its connection to home was cut
		maker.Answered(status, f.now)
		if got := maker.Outcome(); status == 200 && got != Spilled {
			t.Errorf("the maker is %s, want spilled", got)
		}
		maker.End(f.now)
		u, o = f.turn(k)
		f.want(u, o, home, Pinned)
	}
}

// A first pin follows its request to the upstream that answers it well, and to no other.
func TestFirstPinFollowsItsRequest(t *testing.T) {
	for status, stays := range map[int]bool{200: true, 399: true, 400: false, 500: false} {
		f := newFleet(t, 4, nil)
		k := testKey(1)
		r := f.start(Request{Key: k})
		first := r.Next(f.now)
		second := r.Next(f.now)
		r.Answered(status, f.now)
		r.End(f.now)
		u, o := f.turn(k)
		if stays {
			f.want(u, o, second, Pinned)
		} else {
			f.want(u, o, first, New)
		}
	}
}

// The time to live counts from the last use: an answer is a use to its end.
func TestPinLivesFromTheEndOfTheAnswer(t *testing.T) {
	for _, turn := range []string{"first", "later"} {
		t.Run(turn, func(t *testing.T) {
			f := newFleet(t, 4, func(c *testConfig) { c.Pins.TTL = time.Hour })
			k := testKey(1)
			if turn == "later" {
				f.turn(k)
			}
			r := f.start(Request{Key: k})
			r.Next(f.now)
			head := f.now.Add(29 * time.Minute)
			r.Answered(200, head)
			end := head.Add(10 * time.Minute)
			r.End(end)
			if _, ok := f.router.pins.Peek(k, end.Add(59*time.Minute)); !ok {
				t.Error("the pin expired within an hour of the answer")
			}
			if _, ok := f.router.pins.Peek(k, end.Add(61*time.Minute)); ok {
				t.Error("the pin did not expire")
			}
		})
	}
}

// A long answer keeps its pin alive while bytes arrive.
func TestPinLivesWhileBytesArrive(t *testing.T) {
	f := newFleet(t, 4, func(c *testConfig) { c.Pins.TTL = time.Minute })
	k := testKey(1)
	f.turn(k)
	r := f.start(Request{Key: k})
	r.Next(f.now)
	r.Answered(200, f.now)
	for range 100 {
		f.now = f.now.Add(2 * time.Second)
		r.Touch(f.now)
		if _, ok := f.router.pins.Peek(k, f.now); !ok {
			t.Fatal("the pin of an answer on its way expired")
		}
	}
	r.End(f.now)
}

// A pin that is in use outlives its request, however long that takes.
func TestPinOutlivesALongRequest(t *testing.T) {
	for _, where := range []string{"stays", "moves"} {
		t.Run(where, func(t *testing.T) {
			f := newFleet(t, 4, func(c *testConfig) { c.Pins.TTL = time.Minute })
			k := testKey(1)
			home, _ := f.turn(k)
			home.SetHealth(upstream.Down, "test")
			second, _ := f.turn(k)
			home.SetHealth(upstream.Up, "test")
			want := second
			r := f.start(Request{Key: k})
			r.Next(f.now)
			if where == "moves" {
				second.SetHealth(upstream.Down, "test")
				want = r.Next(f.now)
			}
			f.now = f.now.Add(70 * time.Second)
			r.Answered(200, f.now)
			r.End(f.now)
			second.SetHealth(upstream.Up, "test")
			u, o := f.turn(k)
			f.want(u, o, want, Pinned)
		})
	}
}

// A pin that somebody deleted does not come back with the end of a request.
func TestDeletedPinStaysDeleted(t *testing.T) {
	f := newFleet(t, 4, func(c *testConfig) { c.Pins.TTL = time.Minute })
	k := testKey(1)
	f.turn(k)
	r := f.start(Request{Key: k})
	r.Next(f.now)
	r.Answered(200, f.now)
	f.router.pins.Delete(k, f.now)
	f.now = f.now.Add(30 * time.Second)
	r.End(f.now)
	if _, ok := f.router.pins.Peek(k, f.now); ok {
		t.Error("it came back")
	}
}

// A made-up id is on probation also where its pin went while its first request was on its way.
func TestPinMadeAgainIsOnProbation(t *testing.T) {
	for _, made := range []bool{true, false} {
		f := newFleet(t, 4, nil)
		k := testKey(1)
		r := f.start(Request{Key: k, Synthetic: made})
		u := r.Next(f.now)
		before := f.router.pins.Stats().Probation
		f.router.pins.Delete(k, f.now)
		r.Answered(200, f.now)
		r.End(f.now)
		if s := f.router.pins.Stats(); s.Pins != 1 || s.Probation != before || (before == 1) != made {
			t.Errorf("made up: %v, %d on probation at first, then %+v", made, before, s)
		}
		again, o := f.turn(k)
		f.want(again, o, u, Pinned)
	}
}

// Of requests that find their server gone, the first to be answered moves the session; the others help themselves.
func TestPinThatWasRewrittenStays(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	slow := f.start(Request{Key: k})
	slow.Next(f.now)
	home.SetHealth(upstream.Down, "test")
	second, o := f.turn(k)
	f.want(second, o, second, Moved)
	slow.Next(f.now)
	if third := slow.Next(f.now); third == second {
		t.Fatal("this shows nothing")
	}
	slow.Answered(200, f.now)
	if o := slow.Outcome(); o != Spilled {
		t.Errorf("the slow one is %s, want spilled", o)
	}
	slow.End(f.now)
	u, o := f.turn(k)
	f.want(u, o, second, Pinned)
}

// A pin to a server that serves the model no longer is of no use to its session, however well that server is.
func TestPinFollowsItsModel(t *testing.T) {
	for mode, want := range map[Return]Outcome{Stay: Moved, Home: Spilled} {
		f := newFleet(t, 4, func(c *testConfig) { c.Return = mode })
		for _, m := range f.registry.Table().Members {
			m.SetModels(models("a"))
		}
		req := Request{Key: testKey(1), Model: []byte("a")}
		home, o := f.answer(req, 200)
		f.want(home, o, home, New)
		home.SetModels(models("b"))
		second, o := f.answer(req, 200)
		f.want(second, o, second, want)
		home.SetModels(models("a"))
		u, o := f.answer(req, 200)
		if mode == Stay {
			f.want(u, o, second, Pinned)
		} else {
			f.want(u, o, home, Pinned)
		}
	}
}

// A request that names no model finds the session where its other requests go, if it has a pin.
func TestAnyKey(t *testing.T) {
	id := newIdentifier(t)
	f := newFleet(t, 4, nil)
	for n, m := range f.registry.Table().Members {
		m.SetModels(models("base", fmt.Sprintf("adapter-%d", n%2)))
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
		t.Errorf("key %v, model %s where no model is known", k, model)
	}
}

// weightless gives an upstream no share of new sessions.
func (f *fleet) weightless(u *upstream.Upstream) {
	for i := range f.specs {
		if f.specs[i].Name == u.Name() {
			f.specs[i].Weight = 0
		}
	}
	f.apply()
}

// guess is a call about a response: it names no model.
func (f *fleet) guess(id *identity.Identifier, sid []byte) (*upstream.Upstream, Outcome) {
	f.t.Helper()
	k, model := f.router.AnyKey(id, sid, f.now)
	return f.answer(Request{Key: k, Model: []byte(model), ModelGuessed: true, Response: testKey(99)}, 200)
}

// The pin of a session that a request found without naming a model follows no response, which may belong to another model.
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

// Where a session has no pin, and there are several models, nothing is guessed: the ring of the response decides, as for a
// request without a session, and no server is left out.
func TestNoModelIsGuessed(t *testing.T) {
	id := newIdentifier(t)
	f := newFleet(t, 4, nil)
	f.assign("a", "a", "b", "b")
	for _, down := range []string{"", "vllm-0", "vllm-1"} { // in the end no server of the first model is left
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

// No session gets its place where none may settle because a response led there, and no pin follows one there.
func TestResponsesSettleNobody(t *testing.T) {
	for how, leave := range map[string]func(f *fleet, u *upstream.Upstream){
		"drained":      func(_ *fleet, u *upstream.Upstream) { u.Drain(false) },
		"drained hard": func(_ *fleet, u *upstream.Upstream) { u.Drain(true) },
		"leaving":      func(_ *fleet, u *upstream.Upstream) { u.SaidLeaving() },
		"weightless":   func(f *fleet, u *upstream.Upstream) { f.weightless(u) },
	} {
		f := newFleet(t, 4, nil)
		maker, home := f.up("vllm-2"), f.up("vllm-0")
		leave(f, maker)
		f.router.responses.Set(testKey(99), maker.Ref(), f.now)
		f.router.pins.Set(testKey(2), home.Ref(), f.now)
		for range 2 {
			u, o := f.answer(Request{Key: testKey(1), Response: testKey(99)}, 200)
			f.want(u, o, maker, Spilled)
			if _, pinned := f.router.pins.Peek(testKey(1), f.now); pinned {
				t.Errorf("%s: it got a session", how)
			}
			u, o = f.answer(Request{Key: testKey(2), Response: testKey(99)}, 200)
			f.want(u, o, maker, Spilled)
			u, o = f.turn(testKey(2))
			f.want(u, o, home, Pinned)
		}
	}
}

// Fail-open is a matter of those that serve the model.
func TestFailOpenByModel(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.assign("a", "a", "b")
	f.up("vllm-2").SetHealth(upstream.TimedOut, "slow")
	if u, _ := f.answer(Request{Key: testKey(1), Model: []byte("b")}, 200); u != f.up("vllm-2") {
		t.Errorf("went to %s", name(u))
	}
	f.up("vllm-1").SetHealth(upstream.TimedOut, "slow")
	if u, _ := f.answer(Request{Key: testKey(1), Model: []byte("a")}, 200); u != f.up("vllm-0") {
		t.Errorf("went to %s while another one is up", name(u))
	}
}

// To look whether there is a place changes nothing.
func TestLookingDoesNotTurnTheWheel(t *testing.T) {
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
