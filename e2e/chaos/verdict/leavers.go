package verdict

import (
	"time"

	"tether/e2e/chaos/ledger"
)

// lingering is how long a server may work for a client that has left. tether's promise is 100 ms; the machine is busy, and the server
// notices only between two tokens.
const lingering = 5 * time.Second

// leavers: a client that leaves ends the work for it. A client that does not read is cut after client_write_timeout at most 10 s late.
func (c *trial) leavers() {
	for _, t := range c.l.Turns {
		if t.Result != ledger.Left {
			continue
		}
		for _, a := range c.byID[t.ID] {
			known := t.End // a server that has not read the request yet cannot know
			if a.At.After(known) {
				known = a.At
			}
			if waste := a.End.Sub(known); a.Done() && waste > lingering && !c.frozen(a) {
				c.add("leavers", t, "%s: %s worked for %v after the client had left (%s)", t.Manner, a.Server, waste, storyOf(a))
			}
		}
	}
}

// frozen reports whether the server could not notice an end.
func (c *trial) frozen(a ledger.Attempt) bool {
	return c.struck(a.Server, a.At, a.End, map[string]time.Duration{"freeze": slack})
}
