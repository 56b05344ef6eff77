// Package simtime is the clock of the benchmarks that simulate a fleet: an ordered list of events, and the time of the event
// that is happening. One goroutine runs it, event by event, so that equal inputs give equal results.
package simtime

import (
	"container/heap"
	"time"
)

// Clock is simulated time. The zero value is the beginning, without events.
type Clock struct {
	now    time.Duration
	events queue
	added  int
}

// Now is the time since the beginning.
func (c *Clock) Now() time.Duration { return c.now }

// After schedules do for d from now. Of two events at one time, the one that was scheduled first happens first.
func (c *Clock) After(d time.Duration, do func() error) {
	heap.Push(&c.events, event{at: c.now + d, n: c.added, do: do})
	c.added++
}

// Run lets all events happen, until none is left or one returns an error. It calls pass, which may be nil, before the time
// advances by d.
func (c *Clock) Run(pass func(d time.Duration)) error {
	for len(c.events) > 0 {
		e := heap.Pop(&c.events).(event)
		if pass != nil && e.at > c.now {
			pass(e.at - c.now)
		}
		c.now = e.at
		if err := e.do(); err != nil {
			return err
		}
	}
	return nil
}

type event struct {
	at time.Duration
	n  int // in the order of scheduling
	do func() error
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
