package session

import (
	"testing"

	"tether/session/identity"
	"tether/upstream"
)

// A request about a stored response goes to no other server while that of the response is down. Nothing is pinned meanwhile, and the pin of the
// session stays.
func TestStoredResponseAtDownServer(t *testing.T) {
	const why = "the one that made the response that the request is about is down: no other has the response"
	for _, key := range []identity.Key{{}, testKey(1), testKey(2)} {
		f := newFleet(t, 3, nil)
		stored, other := f.up("vllm-1"), f.up("vllm-2")
		f.router.responses.Set(testKey(9), stored.Ref(), f.now)
		f.router.pins.Bind(testKey(1), other.Ref(), false, f.now)
		f.router.pins.Confirm(testKey(1), other.Ref(), other.Ref(), false, f.now)
		req := Request{Key: key, Response: testKey(9)}
		stored.SetHealth(upstream.Down, "test")
		if e := f.router.Explain(req, f.now); e.Upstream != nil || e.Why != why {
			t.Errorf("explained as %s: %s", name(e.Upstream), e.Why)
		}
		r := f.start(req)
		u := r.Next(f.now)
		if full, shed, waits := r.Unanswered(f.now); u != nil || full || shed || !waits {
			t.Errorf("went to %s, full %v, shed %v, waits %v", name(u), full, shed, waits)
		}
		r.End(f.now)
		if n := f.router.pins.Stats().Pins; n != 1 {
			t.Errorf("%d pins, want 1", n)
		}
		stored.SetHealth(upstream.Up, "test")
		if u, _ := f.answer(req, 200); u != stored {
			t.Errorf("went to %s", name(u))
		}
	}
}
