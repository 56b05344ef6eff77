package engine

import (
	"context"
	"sync"
)

// queue lets at most cap(slots) requests run. The others wait in the order of their arrival, which is the order in which a
// channel serves its senders.
type queue struct {
	slots   chan struct{} // holds one value for each running request
	changed func()        // called without the lock after running or waiting changed

	mu      sync.Mutex
	running int // guarded by mu
	waiting int // guarded by mu
}

// enter waits until the request may run. After an error, which is ctx's, the request does not count as running.
func (q *queue) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.count(0, 1)
	select {
	case q.slots <- struct{}{}:
		q.count(1, -1)
		return nil
	case <-ctx.Done():
		q.count(0, -1)
		return ctx.Err()
	}
}

// leave ends a running request, and lets the first waiting one run in its place.
func (q *queue) leave() {
	q.count(-1, 0)
	<-q.slots
}

func (q *queue) count(running, waiting int) {
	q.mu.Lock()
	q.running += running
	q.waiting += waiting
	q.mu.Unlock()
	q.changed()
}
