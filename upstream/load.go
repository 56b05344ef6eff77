package upstream

import (
	"math"
	"time"
)

// Load is the number of requests in flight at now, and of those that failed quickly and count as if they still were.
func (u *Upstream) Load(now time.Time) int64 {
	n := u.InFlight()
	if c := u.charged.Load(); c != nil {
		n += int64(math.Round(c.left(now)))
	}
	return n
}

// charge is the load of requests that failed quickly. It decays, so that it needs neither a timer nor a memory of each request.
type charge struct {
	requests float64 // at the time at
	at       time.Time
	lasting  time.Duration // for how long each request counts, on average: the time constant of the decay
}

// left is what is left of the charge at now.
func (c *charge) left(now time.Time) float64 {
	return c.requests * math.Exp(-max(0, now.Sub(c.at)).Seconds()/c.lasting.Seconds())
}

// Charge adds to the load for a request that failed at now, after took, while an answer takes usual: together the request counts as if
// it had taken as long as an answer. The whole charge is at most limit requests.
func (u *Upstream) Charge(took, usual time.Duration, limit int64, now time.Time) {
	if took >= usual {
		return
	}
	next := &charge{at: now, lasting: usual}
	for {
		before := u.charged.Load()
		next.requests = (usual - took).Seconds() / usual.Seconds()
		if before != nil {
			next.requests += before.left(now)
		}
		next.requests = min(next.requests, float64(limit))
		if u.charged.CompareAndSwap(before, next) {
			return
		}
	}
}

// paceOf is the part, 1/paceOf, that an answer has in the pace.
const paceOf = 32

// Answered notes that an answer of the upstream was complete after took. Of two answers at the same moment one may be passed over.
func (u *Upstream) Answered(took time.Duration) {
	before := u.pace.Load()
	if before == 0 {
		u.pace.Store(max(1, int64(took)))
		return
	}
	u.pace.Store(max(1, before+(int64(took)-before)/paceOf))
}

// Pace is how long the upstream's answers take, from the request to the end of the answer: an average in which the last ones count most.
// It is 0 before the first one.
func (u *Upstream) Pace() time.Duration { return time.Duration(u.pace.Load()) }
