// Package load knows how busy an upstream is: by its requests in flight, by the prompts that it still has to compute, by failures that
// were too quick to count among these, by how long its answers take, by what its server says, and by what other processes tell. Package
// upstream has a Gauge, a Backlog, an Engine and an Elsewhere for each upstream, and a Fullness for each server. Package session chooses by
// them, and writes Gauge and Backlog. Package proxy writes Fullness, package health writes Engine, package session/local writes Elsewhere.
package load

import (
	"math"
	"sync/atomic"
	"time"
)

// Gauge is the load of one upstream. The zero value is an upstream without requests. It must not be copied.
type Gauge struct {
	inFlight atomic.Int64
	tunnels  atomic.Int64           // of inFlight
	charged  atomic.Pointer[charge] // nil before the first quick failure
	pace     atomic.Int64           // ns, 0 before the first answer
}

// Begin counts a request in flight; each Begin wants one End, on every way out.
func (g *Gauge) Begin() { g.inFlight.Add(1) }

// End takes back what Begin counted.
func (g *Gauge) End() {
	if g.inFlight.Add(-1) < 0 {
		panic("BUG: more requests ended than begun")
	}
}

// InFlight is the number of requests that were begun and not ended.
func (g *Gauge) InFlight() int64 { return g.inFlight.Load() }

// Tunnel counts n more requests in flight as tunnels: open connections that may be idle for hours.
func (g *Gauge) Tunnel(n int64) { g.tunnels.Add(n) }

// Tunnels is the number of requests in flight that are tunnels.
func (g *Gauge) Tunnels() int64 { return g.tunnels.Load() }

// Load is the number of requests in flight at now, and of those that failed quickly and count as if they still were.
func (g *Gauge) Load(now time.Time) int64 {
	return g.InFlight() + int64(math.Round(g.Failures(now).Requests))
}

// Failures are requests that failed quickly and count as if they still were in flight, and the tokens of their prompts.
type Failures struct{ Requests, Tokens float64 }

// Failures are those that count at now, zero for less than half a request.
func (g *Gauge) Failures(now time.Time) (f Failures) {
	if c := g.charged.Load(); c != nil {
		if f = c.left(now); f.Requests < 0.5 {
			return Failures{}
		}
	}
	return f
}

// charge is the load of requests that failed quickly. It decays, so that it needs neither a timer nor a memory of each request.
type charge struct {
	failures Failures // at the time at
	at       time.Time
	lasting  time.Duration // for how long each request counts, on average: the time constant of the decay
}

// left is what is left of the charge at now.
func (c *charge) left(now time.Time) Failures {
	share := math.Exp(-max(0, now.Sub(c.at)).Seconds() / c.lasting.Seconds())
	return Failures{c.failures.Requests * share, c.failures.Tokens * share}
}

// Fail adds to the load for a request of so many tokens that failed at now, after took, while an answer takes usual: together the
// request counts as if it had taken as long as an answer. The whole charge is at most limit.
func (g *Gauge) Fail(took, usual time.Duration, tokens int64, limit Failures, now time.Time) {
	if took >= usual {
		return
	}
	share := (usual - took).Seconds() / usual.Seconds()
	next := &charge{at: now, lasting: usual}
	for {
		before := g.charged.Load()
		next.failures = Failures{share, share * float64(tokens)}
		if before != nil {
			left := before.left(now)
			next.failures.Requests += left.Requests
			next.failures.Tokens += left.Tokens
		}
		next.failures.Requests = min(next.failures.Requests, limit.Requests)
		next.failures.Tokens = min(next.failures.Tokens, limit.Tokens)
		if g.charged.CompareAndSwap(before, next) {
			return
		}
	}
}

// paceOf is the part, 1/paceOf, that an answer has in the pace.
const paceOf = 32

// Answered notes that an answer of the upstream was complete after took. Of two answers at the same moment one may be passed over.
func (g *Gauge) Answered(took time.Duration) {
	before := g.pace.Load()
	if before == 0 {
		g.pace.Store(max(1, int64(took)))
		return
	}
	g.pace.Store(max(1, before+(int64(took)-before)/paceOf))
}

// Pace is how long the upstream's answers take, from the request to the end of the answer: an average in which the last ones count most.
// It is 0 before the first one.
func (g *Gauge) Pace() time.Duration { return time.Duration(g.pace.Load()) }
