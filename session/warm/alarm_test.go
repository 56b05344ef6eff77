package warm

import "testing"

// The alarm begins and ends at different shortfalls, and needs turns to begin.
func TestAlarm(t *testing.T) {
	var a alarm
	for _, c := range []struct {
		shortfall, turns float64
		on               bool
		shown            float64
	}{
		{0, 0, false, 0},
		{0.5, 4, false, 0},
		{0.09, 100, false, 0.09},
		{0.11, 5, true, 0.11},
		{0.07, 100, true, 0.07},
		{0.5, 2, true, 0.5},
		{0.04, 100, false, 0.04},
		{0.09, 100, false, 0.09},
		{0.2, 100, true, 0.2},
		{0.2, 0.9, false, 0},
	} {
		before := a.on
		if changed := a.look(c.shortfall, c.turns); a.on != c.on || changed != (before != c.on) || a.shown(c.shortfall, c.turns) != c.shown {
			t.Errorf("a shortfall of %v from %v turns: %v, changed %v, shown %v", c.shortfall, c.turns, a.on, changed, a.shown(c.shortfall, c.turns))
		}
	}
}
