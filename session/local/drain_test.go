package local

import (
	"testing"
	"time"

	"tether/session/shared"
)

// A command for a rank is carried out there, one for a server at all of its ranks, and one for another name nowhere.
func TestCarryOut(t *testing.T) {
	m := newMaps(t, "a")
	now := time.Now()
	ranks := m.Upstreams.Table().Members
	m.Drain(&shared.Drain{Name: "a@1", Move: shared.MoveNow})
	if ranks[0].State().Draining() || !ranks[1].State().DrainingHard() {
		t.Errorf("%v %v", ranks[0].State(), ranks[1].State())
	}
	if all := CarryOut(m.Upstreams.Table(), &shared.Drain{Name: "a", Move: shared.MoveIdle, Idle: time.Minute, Left: time.Hour}, now); len(all) != 2 {
		t.Errorf("%d upstreams", len(all))
	}
	for _, r := range ranks {
		if !r.State().Draining() || r.State().DrainingHard() || !r.MovesAllAt().Equal(now.Add(time.Hour)) || r.MovesPinned(time.Second, now) || !r.MovesPinned(time.Minute, now) {
			t.Errorf("%v", r.State())
		}
	}
	CarryOut(m.Upstreams.Table(), &shared.Drain{Name: "a"}, now)
	for _, r := range ranks {
		if r.State().Draining() || !r.MovesAllAt().IsZero() {
			t.Errorf("%v", r.State())
		}
	}
	if all := CarryOut(m.Upstreams.Table(), &shared.Drain{Name: "b"}, now); len(all) != 0 {
		t.Errorf("%d upstreams", len(all))
	}
}
