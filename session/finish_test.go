package session

import (
	"testing"
	"time"
)

// A finished session has no pin, whatever its request does after that. Ids that stand for more than the conversation keep theirs.
func TestFinish(t *testing.T) {
	for _, c := range []struct {
		what  string
		req   Request
		freed bool
	}{
		{"its own id", Request{Key: testKey(1)}, true},
		{"a derived id", Request{Key: testKey(2), Synthetic: true}, true},
		{"a shared id", Request{Key: testKey(3), Shared: true}, false},
		{"a sub-agent of a family", Request{Key: testKey(4), Subagent: true}, false},
		{"no session", Request{}, false},
	} {
		f := newFleet(t, 3, nil)
		r := f.start(c.req)
		if r.Next(f.now) == nil {
			t.Fatal("no upstream")
		}
		r.Answered(200, f.now)
		f.now = f.now.Add(10 * time.Second)
		if got := Finish(r, f.now); got != c.freed {
			t.Errorf("%s: freed %v", c.what, got)
		}
		r.Touch(f.now.Add(2 * time.Hour))
		r.End(f.now.Add(2 * time.Hour))
		if n := f.router.pins.Stats().Pins; !c.req.Key.IsZero() && (n == 0) != c.freed {
			t.Errorf("%s: %d pins are left", c.what, n)
		}
		if Finish(r, f.now) {
			t.Errorf("%s: freed twice", c.what)
		}
	}
}
