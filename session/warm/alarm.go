package warm

// alarm says whether caches are overrun. It is slow to change its mind.
type alarm struct{ on bool }

const (
	// beginsAbove and endsBelow are the shares of expected tokens that servers do not find.
	beginsAbove = 0.10
	endsBelow   = 0.05
	// minTurns is how many turns, of those that have not faded, make a shortfall known. An alarm ends when fewer than one is left.
	minTurns = 5
)

// look takes in a shortfall and the number of turns that it is from. It reports whether the alarm began or ended.
func (a *alarm) look(shortfall, turns float64) (changed bool) {
	before := a.on
	switch {
	case shortfall > beginsAbove && turns >= minTurns:
		a.on = true
	case shortfall < endsBelow, turns < 1:
		a.on = false
	}
	return a.on != before
}

// shown is the shortfall if enough turns say so, otherwise 0.
func (a *alarm) shown(shortfall, turns float64) float64 {
	if turns >= minTurns || a.on {
		return shortfall
	}
	return 0
}
