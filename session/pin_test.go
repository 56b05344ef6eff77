package session

import (
	"slices"
	"testing"
	"time"

	"tether/session/balance"
	"tether/upstream"
)

// A new pin is confirmed once another request has used it and was answered: a failed attempt of the request that made the
// pin does not move it.
func TestPinOfAnotherRequestStays(t *testing.T) {
	for _, status := range []int{200, 500} {
		f := newFleet(t, 4, nil)
		k := testKey(1)
		first := f.start(Request{Key: k})
		home := first.Next(f.now)
		u, o := f.turn(k)
		f.want(u, o, home, Pinned)
		first.Next(f.now) // its connection to home was cut
		first.Answered(status, f.now)
		if got := first.Outcome(); status == 200 && got != Spilled {
			t.Errorf("the first request is %s, want spilled", got)
		}
		first.End(f.now)
		u, o = f.turn(k)
		f.want(u, o, home, Pinned)
	}
}

// A new pin follows its request to the upstream that answers it well, and to no other one.
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

// The TTL counts from the last use, and an answer is a use until its end.
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
			t.Fatal("the pin expired during its answer")
		}
	}
	r.End(f.now)
}

// A pin that a request uses outlives the request, however long the request takes.
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

// A deleted pin does not come back at the end of a request.
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

// The pin of a synthetic id is on probation, also if it was deleted during the first request and is made again.
func TestPinMadeAgainIsOnProbation(t *testing.T) {
	for _, synthetic := range []bool{true, false} {
		f := newFleet(t, 4, nil)
		k := testKey(1)
		r := f.start(Request{Key: k, Synthetic: synthetic})
		u := r.Next(f.now)
		before := f.router.pins.Stats().Probation
		f.router.pins.Delete(k, f.now)
		r.Answered(200, f.now)
		r.End(f.now)
		if s := f.router.pins.Stats(); s.Pins != 1 || s.Probation != before || (before == 1) != synthetic {
			t.Errorf("synthetic: %v, %d on probation at first, then %+v", synthetic, before, s)
		}
		again, o := f.turn(k)
		f.want(again, o, u, Pinned)
	}
}

// If several requests find their server gone, the first one that is answered moves the session. A request that another upstream
// answers spills.
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
		t.Fatal("the third attempt goes to the second upstream: this test shows nothing")
	}
	slow.Answered(200, f.now)
	if o := slow.Outcome(); o != Spilled {
		t.Errorf("the slow request is %s, want spilled", o)
	}
	slow.End(f.now)
	u, o := f.turn(k)
	f.want(u, o, second, Pinned)
}

// If several requests find their server gone and go to one other, the first one that is answered moves the session there. The others
// are where the session is pinned by then.
func TestPinIsWhereOthersMovedIt(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	f.turn(k)
	routes := make([]*Route, 8)
	for i := range routes {
		routes[i] = f.start(Request{Key: k})
		routes[i].Next(f.now)
	}
	var second *upstream.Upstream
	for _, r := range routes {
		r.Refused()
		second = r.Next(f.now)
	}
	for i, r := range routes {
		r.Answered(200, f.now)
		want := Pinned
		if i == 0 {
			want = Moved
		}
		f.want(r.Last(), r.Outcome(), second, want)
		r.End(f.now)
	}
	u, o := f.turn(k)
	f.want(u, o, second, Pinned)
}

// The same for the first turns of a session. The one that made the pin is new if the session is where it was answered. By load, it
// moves the pin when it chooses another upstream, and the others follow.
func TestFirstPinThatAnotherMoved(t *testing.T) {
	for _, c := range []struct {
		placement balance.Placement
		order     [2]int
		want      [2]Outcome
	}{
		{balance.Home, [2]int{0, 1}, [2]Outcome{Moved, Pinned}},
		{balance.Home, [2]int{1, 0}, [2]Outcome{Moved, New}},
		{balance.Load, [2]int{0, 1}, [2]Outcome{New, Pinned}},
		{balance.Load, [2]int{1, 0}, [2]Outcome{Pinned, New}},
	} {
		f := newFleet(t, 4, func(cfg *testConfig) { cfg.Balance.Placement = c.placement })
		k := testKey(1)
		routes := [2]*Route{f.start(Request{Key: k}), f.start(Request{Key: k})}
		routes[0].Next(f.now)
		routes[1].Next(f.now)
		for _, r := range routes {
			r.Refused()
			r.Next(f.now)
		}
		for n, i := range c.order {
			routes[i].Answered(200, f.now)
			f.want(routes[i].Last(), routes[i].Outcome(), routes[0].Last(), c.want[n])
		}
		for _, r := range routes {
			r.End(f.now)
		}
	}
}

// A request that its pinned upstream answers late, or not at all, spills if another request has moved the session meanwhile.
func TestPinThatMovedAway(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	slow, never := f.start(Request{Key: k}), f.start(Request{Key: k})
	slow.Next(f.now)
	never.Next(f.now)
	home.Drain(true)
	second, o := f.turn(k)
	f.want(second, o, second, Moved)
	slow.Answered(200, f.now)
	never.Unanswered(f.now)
	for _, r := range []*Route{slow, never} {
		f.want(r.Last(), r.Outcome(), home, Spilled)
		r.End(f.now)
	}
	u, o := f.turn(k)
	f.want(u, o, second, Pinned)
}

// The first pin of a session follows its request, and stays only if the request is answered well.
func TestFirstPinIsUnconfirmed(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, o := f.answer(Request{Key: k}, 400)
	f.want(home, o, home, New)
	if _, ok := f.router.pins.Peek(k, f.now); ok {
		t.Error("a pin outlived an answer of 400")
	}
	r := f.start(Request{Key: k})
	r.Next(f.now)
	r.End(f.now)
	if _, ok := f.router.pins.Peek(k, f.now); ok {
		t.Error("a pin outlived a request without an answer")
	}
	r = f.start(Request{Key: k})
	r.Next(f.now)
	second := r.Next(f.now)
	r.Answered(200, f.now)
	r.End(f.now)
	f.want(second, r.Outcome(), second, New)
	u, o := f.turn(k)
	f.want(u, o, second, Pinned)
}

// The request that made a pin cannot drop it after another request has used it.
func TestTakenPinStays(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	first := f.start(Request{Key: k})
	home := first.Next(f.now)
	u, o := f.turn(k)
	f.want(u, o, home, Pinned)
	first.Answered(500, f.now)
	first.End(f.now)
	u, o = f.turn(k)
	f.want(u, o, home, Pinned)
}

// A request that began before a reload does not know a further upstream. It leaves a pin to it where it is.
func TestOldRequestsLeaveNewerPins(t *testing.T) {
	f := newFleet(t, 2, func(c *testConfig) { c.Balance.Placement = balance.Load })
	k := testKey(1)
	f.turn(k)
	old := f.start(Request{Key: k})
	old.Next(f.now)
	f.specs = append(f.specs, upstream.Spec{Name: "vllm-2", Slot: 2, Weight: 100})
	f.apply()
	further := f.up("vllm-2")
	further.SetHealth(upstream.Up, "test")
	if !f.router.Repin(k, further, f.now) {
		t.Fatal("no pin")
	}
	old.Failed(0, f.now) // its connection was cut
	old.Next(f.now)
	old.Answered(200, f.now)
	old.End(f.now)
	u, o := f.turn(k)
	f.want(u, o, further, Pinned)
}

// A pin does not move to an upstream that a reload has removed meanwhile, neither by a request nor by an operator.
func TestPinsStayAwayFromRemovedUpstreams(t *testing.T) {
	f := newFleet(t, 3, func(c *testConfig) { c.Balance.Placement = balance.Home })
	k := testKey(1)
	home, _ := f.turn(k)
	r := f.start(Request{Key: k})
	home.SetHealth(upstream.Down, "test")
	u := r.Next(f.now)
	f.specs = slices.DeleteFunc(f.specs, func(s upstream.Spec) bool { return s.Name == u.Name() })
	f.apply()
	r.Answered(200, f.now)
	r.End(f.now)
	if f.router.Repin(k, u, f.now) {
		t.Error("an operator has moved the session to a removed upstream")
	}
	home.SetHealth(upstream.Up, "test")
	u, o := f.turn(k)
	f.want(u, o, home, Pinned)
}

// A new session that has moved before its first answer is spilled.
func TestNewSessionMovesBeforeItsAnswer(t *testing.T) {
	f := newFleet(t, 2, nil)
	k := testKey(1)
	first := f.start(Request{Key: k})
	home := first.Next(f.now)
	second := f.start(Request{Key: k})
	second.Next(f.now)
	second.Refused()
	other := second.Next(f.now)
	second.Answered(200, f.now)
	second.End(f.now)
	first.Answered(200, f.now)
	f.want(first.Last(), first.Outcome(), home, Spilled)
	first.End(f.now)
	u, o := f.turn(k)
	f.want(u, o, other, Pinned)
}
