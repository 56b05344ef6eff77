package drain

import (
	"testing"
	"time"
)

func TestMoves(t *testing.T) {
	const after = time.Minute
	now := time.Now()
	until := now.Add(time.Hour)
	var m Moves
	wants := func(silent time.Duration, at time.Time, want bool) {
		t.Helper()
		if got := m.MovesPinned(silent, at); got != want {
			t.Errorf("silent for %v, %v before the end: moves %v", silent, until.Sub(at), got)
		}
	}
	wants(24*time.Hour, until, false)
	if !m.MovesAllAt().IsZero() {
		t.Error("the zero value moves all sessions at some time")
	}
	m.MoveIdle(after, until)
	wants(0, now, false)
	wants(after-1, until.Add(-1), false)
	wants(after, now, true)
	wants(0, until, true)
	if !m.MovesAllAt().Equal(until) {
		t.Errorf("all move at %v", m.MovesAllAt())
	}
	m.MoveNone()
	wants(24*time.Hour, until, false)
}
