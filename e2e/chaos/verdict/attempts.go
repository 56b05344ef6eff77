package verdict

import (
	"slices"
	"time"

	"tether/e2e/chaos/ledger"
)

// end is how an attempt ended, as far as it decides what may follow.
type end int

const (
	passed  end = iota // an answer that goes to the client
	refused            // the server said that it does not work on the request
	late               // a 503 that came after a while: the server may have worked on the request
	died               // the connection or the server ended before the head of an answer
	begun              // a head was sent; what came after it was cut
	open               // the server has not ended it: its client left first
)

const (
	// mostAttempts is proxy.max_attempts.
	mostAttempts = 3
	// soon is how soon after the request a 503 is a refusal. tether's limit is 100 ms; the servers' clock may be late.
	soon = 100 * time.Millisecond
	// replayWithin is how late a replay may be. tether's limit is 1 s; the servers' clock may be late.
	replayWithin = 1500 * time.Millisecond
)

// endOf says how an attempt ended.
func (c *trial) endOf(a ledger.Attempt) end {
	has := func(kinds ...string) bool {
		return slices.ContainsFunc(a.Faults, func(f string) bool { return slices.Contains(kinds, f) })
	}
	switch {
	case !a.Done():
		if a.Status > 0 {
			return begun
		}
		return died
	case a.Status == 0 && has("reset", "close"), c.lostWithServer(a):
		return died
	case a.Status == 0 && has("bad-head"):
		return passed
	case a.Status == 0:
		return c.ended(a)
	case a.Status == 503 && has("queue-full"), a.Status == 500 && !has("status", "500"):
		return refused // 500 without an injected status is vLLM's shutdown answer
	case a.Status == 503 && a.End.Sub(a.At) > soon:
		return late
	case a.Status == 503:
		return refused
	case a.Aborted, has("cut-between", "cut-inside", "cut-rst", "stall"):
		return begun
	}
	return passed
}

// lastWords is how long before a kill an answer may be lost on its way: the kernel drops what a killed process has not delivered.
const lastWords = time.Second

// lostWithServer reports whether the server was killed so soon after its answer that the answer may not have left.
func (c *trial) lostWithServer(a ledger.Attempt) bool {
	return slices.ContainsFunc(c.byServer[a.Server], func(e ledger.Event) bool {
		since := e.From.Sub(a.End)
		return e.Kind == "kill" && since > -lastWords && since < lastWords
	})
}

// ended judges an attempt without a head and without a fault: its client has left, or its server was ending.
func (c *trial) ended(a ledger.Attempt) end {
	if c.struck(a.Server, a.At, a.End, deaths) {
		return died
	}
	return open
}

// deaths are the events in which a server loses requests without a word, and for how long after them it does.
var deaths = map[string]time.Duration{"kill": 0, "terminate": 0, "freeze": 0}

// attempts: no request goes to more servers than it may, and none to another server once it must not.
func (c *trial) attempts() {
	for _, t := range c.l.Turns {
		all := c.byID[t.ID]
		if len(all) > mostAttempts {
			c.add("attempts", t, "%d servers got it: %v", len(all), serversOf(all))
			continue
		}
		given := 0 // servers that may have worked on the request
		for i, a := range all {
			if i > 0 && given > 1 {
				c.add("attempts", t, "%s is a further server after two that may have worked on it: %v", a.Server, serversOf(all))
			}
			if i+1 < len(all) {
				c.follow(t, a, all[i+1])
			}
			if e := c.endOf(a); e == late || e == died && !replayed(all, i) {
				given++
			}
		}
	}
}

// replayed reports whether the next attempt is the replay after a connection that died without a byte: the same server got the request again at
// once, on a fresh connection. Most likely it had closed an idle connection.
func replayed(all []ledger.Attempt, i int) bool {
	return i == 0 && len(all) > 1 && all[1].Server == all[0].Server && all[1].At.Sub(all[0].At) < replayWithin
}

// follow judges that next got the request after a.
func (c *trial) follow(t ledger.Turn, a, next ledger.Attempt) {
	switch e := c.endOf(a); {
	case e == passed || e == begun:
		c.add("attempts", t, "%s got it although %s had begun to answer (%d)", next.Server, a.Server, a.Status)
	case e == open && t.Result != ledger.Left:
		c.add("attempts", t, "%s got it while %s had it", next.Server, a.Server)
	case t.Chained && a.Server != next.Server:
		c.add("attempts", t, "%s got it although only one server has its response", next.Server)
	}
}

func serversOf(all []ledger.Attempt) (names []string) {
	for _, a := range all {
		names = append(names, a.Server)
	}
	return names
}
