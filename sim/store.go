package sim

import (
	"context"
	"sync"
)

// maxStored is how many responses a server remembers, the newest ones. vLLM's own store has no bound.
const maxStored = 10000

// store is the response store of one server.
type store struct {
	mu   sync.Mutex
	byID map[string]*stored // guarded by mu
	ids  []string           // guarded by mu; oldest first
}

func newStore() *store {
	return &store{byID: map[string]*stored{}}
}

func (s *store) add(r *stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.response.ID
	s.byID[id] = r
	s.ids = append(s.ids, id)
	if len(s.ids) > maxStored {
		delete(s.byID, s.ids[0])
		s.ids = s.ids[1:]
	}
}

func (s *store) find(id string) *stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// stored is one response and the conversation that the next turn builds on.
type stored struct {
	cancel context.CancelFunc // ends a background response; nil for others

	mu       sync.Mutex
	response response  // guarded by mu
	messages []message // guarded by mu
	events   []event   // guarded by mu; of a background stream
	logged   bool      // guarded by mu; there are events to follow
	over     bool      // guarded by mu; no further event
	bell     bell
}

// event is an event of a stream, for those who follow it later.
type event struct {
	name string
	data []byte
}

func (r *stored) state() response {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.response
}

func (r *stored) conversation() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages
}

// complete sets the final state, unless the response was cancelled before.
func (r *stored) complete(done response, conversation []message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.response.Status != "cancelled" {
		r.response, r.messages = done, conversation
	}
}

// abort cancels a background response that is not complete. For others it says no.
func (r *stored) abort() (state response, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.response.Status != "queued" {
		return r.response, false
	}
	r.response.Status = "cancelled"
	r.cancel()
	return r.response, true
}

// log adds an event for those who follow.
func (r *stored) log(name string, data []byte) error {
	r.mu.Lock()
	defer r.bell.ring()
	defer r.mu.Unlock()
	r.events = append(r.events, event{name, data})
	return nil
}

// end says that no further event comes.
func (r *stored) end() {
	r.mu.Lock()
	defer r.bell.ring()
	defer r.mu.Unlock()
	r.over = true
}

// next waits for the i-th event; not ok means that the stream has ended before it.
func (r *stored) next(ctx context.Context, i int) (e event, ok bool, err error) {
	for {
		changed := r.bell.next()
		r.mu.Lock()
		n, over := len(r.events), r.over
		if i < n {
			e = r.events[i]
		}
		r.mu.Unlock()
		if i < n || over {
			return e, i < n, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return event{}, false, ctx.Err()
		}
	}
}
