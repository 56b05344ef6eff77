package session

import (
	"testing"
	"time"
)

// A drain that moves idle sessions keeps a session that is in use, moves it once it was silent, and moves all at its end. The
// explanation says the same before each turn.
func TestDrainMovesIdleSessions(t *testing.T) {
	const idle = time.Minute
	f := newFleet(t, 3, nil)
	k := testKey(1)
	home, _ := f.turn(k)
	until := f.now.Add(time.Hour)
	home.MoveIdle(idle, until)
	turn := func(what string, after time.Duration, moves bool) {
		t.Helper()
		f.now = f.now.Add(after)
		e := f.router.Explain(Request{Key: k}, f.now)
		u, o := f.turn(k)
		if (o == Moved) != moves || (u != home) != moves || e.Upstream != u || e.Outcome != o {
			t.Fatalf("%s: %v at %s, explained as %v at %s", what, o, name(u), e.Outcome, name(e.Upstream))
		}
		if moves && (e.Pin != home || e.PinSkipped != "draining, and idle sessions move") {
			t.Errorf("%s: %q", what, e.PinSkipped)
		}
	}
	turn("without a drain", 2*idle, false)
	home.Drain(false)
	for range 5 {
		turn("in use", idle-time.Second, false)
	}
	turn("idle", idle, true)
	home.Undrain()
	home.MoveNone()
	if !f.router.Repin(k, home, f.now) {
		t.Fatal("no pin")
	}
	turn("after the drain", time.Second, false)
	home.Drain(false)
	home.MoveIdle(idle, until)
	f.now = until.Add(-time.Second)
	f.router.pins.Set(k, home.Ref(), f.now) // it is in use until the end
	turn("in use at the end", time.Second, true)
}
