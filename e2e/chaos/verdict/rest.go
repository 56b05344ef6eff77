package verdict

import "tether/e2e/chaos/ledger"

// rest: once the clients have gone, tether holds no more than at the start, and the run itself went well.
func (c *trial) rest() {
	for _, f := range c.l.Figures {
		if f.End > f.Limit {
			c.add("rest", ledger.Turn{}, "%s: %.0f at the end, %.0f at the start, want at most %.0f", f.Name, f.End, f.Start, f.Limit)
		}
	}
	for _, text := range c.l.Broken {
		c.add("rest", ledger.Turn{}, "%s", text)
	}
	if len(c.l.Turns) == 0 {
		c.add("rest", ledger.Turn{}, "no client has asked anything")
	}
}
