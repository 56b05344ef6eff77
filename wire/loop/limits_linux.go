package loop

import "time"

// limits says when a loop looks at the limits of its drivers next.
type limits struct{ sweep time.Time } // zero for never

// limited notes a limit of a driver.
func (l *limits) limited(limit time.Time) {
	if !limit.IsZero() && (l.sweep.IsZero() || limit.Before(l.sweep)) {
		l.sweep = limit
	}
}

func (l *limits) due(now time.Time) bool { return !l.sweep.IsZero() && !now.Before(l.sweep) }

// minSweep is the time between two looks at all limits: a limit may be late by that much.
const minSweep = 20 * time.Millisecond

// apart puts the next look off until minSweep after the one at now.
func (l *limits) apart(now time.Time) {
	if !l.sweep.IsZero() && l.sweep.Sub(now) < minSweep {
		l.sweep = now.Add(minSweep)
	}
}

// timeout is that of the next wait, below 0 for none: wait, none if the loop is resting, and 0 if there is work.
func (l *limits) timeout(resting, working bool, wait time.Duration) time.Duration {
	switch {
	case working:
		return 0
	case resting && l.sweep.IsZero():
		return -1
	case resting:
		wait = time.Until(l.sweep)
	case !l.sweep.IsZero():
		wait = min(wait, time.Until(l.sweep))
	}
	return max(wait, 0)
}
