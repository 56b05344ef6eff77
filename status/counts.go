package status

import (
	"sync"

	"tether/proxy"
	"tether/session"
)

// counts are what requests add up to, at one upstream or at all. They only grow; a rate is the difference of two.
type counts struct {
	requests uint64
	// errors are the attempts that failed, and the answers with a status of 500 or more. A client that left is no error.
	errors    uint64
	outcomes  [session.Spilled + 1]uint64 // by session.Outcome
	firstByte histogram
}

// since returns what was counted after then.
func (c *counts) since(then *counts) counts {
	d := *c
	d.requests -= then.requests
	d.errors -= then.errors
	for i := range d.outcomes {
		d.outcomes[i] -= then.outcomes[i]
	}
	for i := range d.firstByte {
		d.firstByte[i] -= then.firstByte[i]
	}
	return d
}

// tally is counts that requests add to.
type tally struct {
	mu  sync.Mutex
	sum counts // guarded by mu
}

// add counts the request of r.
func (t *tally) add(r *proxy.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.sum
	c.requests++
	c.outcomes[r.Outcome]++
	if r.Status >= 500 && (len(r.Tries) == 0 || !r.Tries[len(r.Tries)-1].Charged()) {
		c.errors++
	}
	if r.FirstByte > 0 {
		c.firstByte[bucketOf(r.FirstByte)]++
	}
}

// fail counts a failed attempt.
func (t *tally) fail() {
	t.mu.Lock()
	t.sum.errors++
	t.mu.Unlock()
}

// load returns what has been counted so far.
func (t *tally) load() counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum
}
