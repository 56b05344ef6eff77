package load

import (
	"sync/atomic"
	"time"
)

// Share is a part of the load of an upstream: what some processes have sent there.
type Share struct {
	// Tokens are those that the upstream still has to compute, as Queue counts them.
	Tokens int64
	// Requests are those in flight.
	Requests int64
}

// ElsewhereFor is how long a Share of other processes counts: they tell theirs several times a second.
const ElsewhereFor = time.Second

// Elsewhere is the Share that other processes have in the load of an upstream, as far as they tell it. The zero value is of an upstream of
// which they have told nothing. It must not be copied.
type Elsewhere struct {
	told atomic.Pointer[toldShare] // nil before the first
}

type toldShare struct {
	Share
	at time.Time
}

// SetElsewhere notes what other processes have told until now, all of them together.
func (e *Elsewhere) SetElsewhere(s Share, now time.Time) {
	if before := e.told.Load(); s == (Share{}) && (before == nil || before.Share == s) {
		return
	}
	e.told.Store(&toldShare{s, now})
}

// Others is what other processes have told within ElsewhereFor before now, zero if they have told nothing.
func (e *Elsewhere) Others(now time.Time) Share {
	if t := e.told.Load(); t != nil && now.Sub(t.at) <= ElsewhereFor {
		return t.Share
	}
	return Share{}
}
