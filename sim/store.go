package sim

import (
	"context"
	"sync"
)

// maxStored is the number of responses that a server remembers, the newest ones. vLLM's own store has no bound.
const maxStored = 10000

type store struct {
	mu   sync.Mutex
	byID map[string]*storedResponse // guarded by mu
	ids  []string                   // guarded by mu; oldest first
}

func newStore() *store {
	return &store{byID: map[string]*storedResponse{}}
}

func (s *store) add(r *storedResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.response.id
	s.byID[id] = r
	s.ids = append(s.ids, id)
	if len(s.ids) > maxStored {
		delete(s.byID, s.ids[0])
		s.ids = s.ids[1:]
	}
}

func (s *store) find(id string) *storedResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// storedResponse is one response and the conversation that the next turn builds on.
type storedResponse struct {
	cancel context.CancelFunc // ends a background response; nil for others
	logged bool               // the response has events to follow

	mu       sync.Mutex
	response response  // guarded by mu
	messages []message // guarded by mu
	events   []event   // guarded by mu; of a background stream
	over     bool      // guarded by mu; the stream has ended
	bell     bell
}

// event is an event of a stream that can be followed later.
type event struct {
	name string
	data []byte
}

// update changes the guarded fields, and wakes those that wait for an event.
func (r *storedResponse) update(change func()) {
	r.mu.Lock()
	defer r.bell.ring()
	defer r.mu.Unlock()
	change()
}

// state returns the response and its conversation as they are now.
func (r *storedResponse) state() (response, []message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.response, r.messages
}

// complete sets the final state, unless the response is cancelled.
func (r *storedResponse) complete(done response, conversation []message) {
	r.update(func() {
		if r.response.status != "cancelled" {
			r.response, r.messages = done, conversation
		}
	})
}

// abort cancels a background response that is not complete. Any other response stays as it is, and is not ok.
func (r *storedResponse) abort() (state response, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.response.status != "queued" {
		return r.response, false
	}
	r.response.status = "cancelled"
	r.cancel()
	return r.response, true
}

func (r *storedResponse) log(name string, data []byte) error {
	r.update(func() { r.events = append(r.events, event{name, data}) })
	return nil
}

func (r *storedResponse) end() { r.update(func() { r.over = true }) }

// next waits for the i-th event. It is not ok when the stream ends before that event.
func (r *storedResponse) next(ctx context.Context, i int) (e event, ok bool, err error) {
	err = r.bell.await(ctx, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if ok = i < len(r.events); ok {
			e = r.events[i]
		}
		return ok || r.over
	})
	return e, ok, err
}
