package health

import (
	"math/rand/v2"
	"time"
)

const (
	// spread is the part of an interval by which what a server is asked is moved at random, so that many proxies and many servers do not act
	// in step.
	spread = 0.1
	// beats is the number of beats in an interval.
	beats = 50
)

// again returns when to do again what began at a time: an interval later, give or take spread, at the beginning of a beat.
func again(began time.Time, interval time.Duration) time.Time {
	beat := interval / beats
	earliest := float64(interval) * (1 - spread)
	random := (float64(interval)*2*spread - float64(beat)) * rand.Float64()
	return onBeat(began.Add(time.Duration(earliest+random)), beat)
}

// onBeat returns the first beat after t. All servers of a process share the beats: then hundreds of servers take tens of wake-ups of the
// process a second. A wake-up of an idle process takes more CPU than a probe.
func onBeat(t time.Time, beat time.Duration) time.Time {
	return t.Add(beat - t.Sub(t.Truncate(beat)))
}
