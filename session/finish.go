package session

import "time"

// Finish ends the conversation of a request whose answer is complete: its pin is dropped, and the request uses it no more. It reports
// whether there was one. An id that many conversations may share, and that of a family of agents whose sub-agent asks, keep theirs.
func Finish(t *Route, now time.Time) bool {
	if t.req.Key.IsZero() || t.req.Shared || t.req.Subagent || t.surplus {
		return false
	}
	t.pin.state = unpinned
	if !t.router.pins.Delete(t.req.Key, now) {
		return false
	}
	tellForgotten(t.router, t.req.Key, false)
	return true
}
