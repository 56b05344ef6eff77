package verdict

import "tether/e2e/chaos/ledger"

// answers: every answer is right, complete and the request's own, and no request waits for ever. An answer below 400 is that of the server
// that it names, and no second server has answered it.
func (c *trial) answers() {
	for _, t := range c.l.Turns {
		switch {
		case t.Result == ledger.Overdue:
			c.add("answers", t, "neither an answer nor an end came")
		case t.Result == ledger.Whole && t.Wrong != "":
			c.add("answers", t, "%s", t.Wrong)
		case t.Wrong != "":
			c.add("answers", t, "%s, in an answer %d that is %s", t.Wrong, t.Status, t.Result)
		case t.Result == ledger.Whole:
			c.answered(t)
		}
	}
}

func (c *trial) answered(t ledger.Turn) {
	var by []string
	for _, a := range c.byID[t.ID] {
		if a.Status > 0 && a.Status < 400 && a.Done() && !a.Aborted && (a.Server == t.Server || !c.lostWithServer(a)) {
			by = append(by, a.Server)
		}
	}
	switch {
	case len(by) == 0:
		c.add("answers", t, "no server has answered it, but it was answered by %q", t.Server)
	case len(by) > 1:
		c.add("answers", t, "it was answered by %v", by)
	case by[0] != t.Server:
		c.add("answers", t, "%s has answered it, but the answer names %q", by[0], t.Server)
	}
}
