package shared

import "sync"

// maxQueued bounds a Queue: 64 bytes each, 4 MiB together.
const maxQueued = 1 << 16

// Queue carries changes from requests to the ledger. It makes no request wait: a change that has no room is dropped, and counted. It is
// safe for concurrent use.
type Queue struct {
	wake chan struct{} // capacity 1

	mu      sync.Mutex
	changes []Change // guarded by mu
	dropped uint64   // guarded by mu
	lost    bool     // guarded by mu: changes were dropped since the last Take
}

// NewQueue returns an empty queue.
func NewQueue() *Queue { return &Queue{wake: make(chan struct{}, 1)} }

// Add adds a change.
func (q *Queue) Add(c *Change) {
	q.mu.Lock()
	if len(q.changes) < maxQueued {
		q.changes = append(q.changes, *c)
	} else {
		q.dropped++
		q.lost = true
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Added is readable when there are changes.
func (q *Queue) Added() <-chan struct{} { return q.wake }

// Take moves all changes to the end of a slice. lost is true if changes were dropped since the last call.
func (q *Queue) Take(to []Change) (all []Change, lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all, lost = append(to, q.changes...), q.lost
	clear(q.changes)
	q.changes, q.lost = q.changes[:0], false
	if cap(q.changes) > maxQueued/16 {
		q.changes = nil // a burst is over
	}
	return all, lost
}

// Dropped counts the changes that had no room.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
