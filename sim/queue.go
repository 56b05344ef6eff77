package sim

import (
	"context"
	"slices"
	"sync"
)

// queue lets a bounded number of requests run, and the others wait in the order in which they came.
type queue struct {
	limit   int
	changed func() // called after running or waiting changed, without the lock

	mu      sync.Mutex
	running int             // guarded by mu
	line    []chan struct{} // guarded by mu; closed when its request may run
}

// enter waits for a place. An error means that ctx ended first, and that no place is held.
func (q *queue) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turn := q.take()
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

// take gives a place at once (nil), or a turn to wait for.
func (q *queue) take() chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running < q.limit {
		q.running++
		return nil
	}
	turn := make(chan struct{})
	q.line = append(q.line, turn)
	return turn
}

// leave gives a place back, which is to say on.
func (q *queue) leave() {
	q.mu.Lock()
	if len(q.line) > 0 {
		close(q.line[0])
		q.line = slices.Delete(q.line, 0, 1)
	} else {
		q.running--
	}
	q.mu.Unlock()
	q.changed()
}

func (q *queue) giveUp(turn chan struct{}) {
	q.mu.Lock()
	i := slices.Index(q.line, turn)
	if i >= 0 {
		q.line = slices.Delete(q.line, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 { // the turn came at the same moment: it is somebody else's now
		q.leave()
		return
	}
	q.changed()
}

func (q *queue) lengths() (running, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running, len(q.line)
}
