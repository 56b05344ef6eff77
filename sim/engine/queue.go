package engine

import (
	"context"
	"slices"
	"sync"
)

// queue lets at most limit requests run. The others wait in the order of their arrival.
type queue struct {
	limit   int
	changed func() // called without the lock after running or waiting changed

	mu      sync.Mutex
	running int             // guarded by mu
	waiting []chan struct{} // guarded by mu; each is closed when its request may run
}

// enter waits until the request may run. After an error, which is ctx's, the request does not count as running.
func (q *queue) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turn := q.join()
	q.changed()
	if turn == nil {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		q.giveUp(turn)
		return ctx.Err()
	}
}

// join counts the request as running and returns nil, or returns the channel to wait on.
func (q *queue) join() chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running < q.limit {
		q.running++
		return nil
	}
	turn := make(chan struct{})
	q.waiting = append(q.waiting, turn)
	return turn
}

// leave ends a running request, and lets the first waiting one run in its place.
func (q *queue) leave() {
	q.mu.Lock()
	if len(q.waiting) > 0 {
		close(q.waiting[0])
		q.waiting = slices.Delete(q.waiting, 0, 1)
	} else {
		q.running--
	}
	q.mu.Unlock()
	q.changed()
}

// giveUp takes a waiting request out of the queue.
func (q *queue) giveUp(turn chan struct{}) {
	q.mu.Lock()
	i := slices.Index(q.waiting, turn)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 { // the request was let run at the same moment: the next one runs instead
		q.leave()
		return
	}
	q.changed()
}
