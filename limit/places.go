// Package limit has the two kinds of limits: how many requests are in flight at a time, and how many begin in a minute. Each checks and
// counts in one atomic step, so that requests that arrive at once never pass it. It does not know whose requests they are: package upstream has
// Places for each server, package auth both kinds for each caller.
package limit

import "sync/atomic"

// Places are the places for requests in flight: as many as the limit allows at a time. The zero value has no limit. It must not
// be copied.
type Places struct {
	taken atomic.Int64
	limit atomic.Int64 // 0 for no limit
}

// Limit sets how many places there are, 0 for no limit. Requests that have a place keep it.
func (p *Places) Limit(n int) { p.limit.Store(int64(n)) }

// MaxInFlight is the limit, 0 for none.
func (p *Places) MaxInFlight() int64 { return p.limit.Load() }

// TakePlace takes a place, unless all are taken. Each place that is taken wants one LeavePlace.
func (p *Places) TakePlace() bool {
	for {
		taken, limit := p.taken.Load(), p.limit.Load()
		if limit > 0 && taken >= limit {
			return false
		}
		if p.taken.CompareAndSwap(taken, taken+1) {
			return true
		}
	}
}

// LeavePlace gives a place back.
func (p *Places) LeavePlace() {
	if p.taken.Add(-1) < 0 {
		panic("BUG: more places left than taken")
	}
}

// AtLimit reports whether all places are taken.
func (p *Places) AtLimit() bool {
	limit := p.limit.Load()
	return limit > 0 && p.taken.Load() >= limit
}
