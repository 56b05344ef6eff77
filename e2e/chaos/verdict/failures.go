package verdict

import (
	"slices"
	"strings"
	"time"

	"tether/e2e/chaos/ledger"
)

// failures: every request that got no whole answer failed visibly, for a reason that tether does not promise to hide.
func (c *trial) failures() {
	for _, t := range c.l.Turns {
		switch t.Result {
		case ledger.Failed:
			if why := c.whyFailed(t); why == "" {
				c.add("failures", t, "%s %s: %d %q after %v", t.API, t.Source, t.Status, t.Message, c.story(t))
			}
		case ledger.Cut:
			if why := c.whyCut(t); why == "" {
				c.add("failures", t, "%s %s: cut after %v", t.API, t.Source, c.story(t))
			}
		case ledger.NoAnswer:
			if why := c.whyNoAnswer(t); why == "" {
				c.add("failures", t, "%s %s (%s, reused %t): no answer after %v", t.API, t.Source, t.Manner, t.Reused, c.story(t))
			}
		}
	}
	for _, r := range c.l.Refusals {
		if !c.struck("", r.At, r.At, map[string]time.Duration{"restart": 0}) {
			c.add("failures", ledger.Turn{}, "a connection was refused at %v, while tether was not restarted", r.At)
		}
	}
}

// The messages of tether's own failures, as docs/ARCHITECTURE.md has their reasons.
const (
	messageDied      = "The model server died over this request."
	messageNone      = "No model server answered."
	messageNoServer  = "No model server is up."
	messageBad       = "The model server's answer was malformed."
	messageTimeout   = "The model server did not answer in time."
	messageExhausted = "Out of connections."
	messageWaits     = "The model server that has the response is down: try again, or send the conversation without a reference to a response."
)

// whyFailed returns why an error is allowed, "" if it is not.
func (c *trial) whyFailed(t ledger.Turn) string {
	all := c.byID[t.ID]
	ends := map[end]int{}
	for _, a := range all {
		ends[c.endOf(a)]++
	}
	fault := func(kinds ...string) bool {
		return slices.ContainsFunc(all, func(a ledger.Attempt) bool {
			return slices.ContainsFunc(a.Faults, func(f string) bool { return slices.Contains(kinds, f) })
		})
	}
	unseen := c.unseen(t, all)
	switch {
	case t.Status == 502 && t.Message == messageDied && ends[died]+unseen >= c.deathsNeeded(t):
		return "servers died"
	case t.Status == 502 && t.Message == messageNone && ends[died]+ends[refused]+unseen >= c.attemptsNeeded(t):
		return "no server could be reached"
	case t.Status == 502 && t.Message == messageBad && fault("bad-head"):
		return "malformed head"
	case t.Status == 504 && t.Message == messageTimeout && c.anyStruck(t, hanging):
		return "hanging server"
	case t.Status == 503 && t.Message == messageExhausted && c.tetherStruck(t, "descriptors"):
		return "no descriptors"
	case t.Status == 500 && strings.HasPrefix(t.Message, "simulated status 500") && fault("status", "500"):
		return "the server's own 500"
	case t.Status == 404 && t.Chained && strings.Contains(t.Message, "not found"):
		return c.whyLost(t)
	case t.Status == 503 && t.Message == messageWaits && t.Chained:
		return c.whyWaits(t)
	case t.Status >= 500 && ends[refused]+ends[late] > 0 && ends[refused]+ends[late]+ends[died]+unseen >= c.attemptsNeeded(t):
		return "all servers refused"
	case t.Status == 503 && ends[refused]+ends[late] > 0 && ends[died]+unseen > 0:
		return "refused after a server had died over it"
	case t.Status == 503 && t.Message == messageNoServer && ends[died]+ends[refused]+ends[late]+unseen >= c.attemptsNeeded(t):
		return "no server was up"
	}
	return ""
}

// deathsNeeded is the number of servers that must have died over a request before it fails.
func (c *trial) deathsNeeded(t ledger.Turn) int {
	if t.Chained {
		return 1
	}
	return 2
}

// attemptsNeeded is the number of servers that must have failed a request before it fails.
func (c *trial) attemptsNeeded(t ledger.Turn) int {
	if t.Chained {
		return 1
	}
	return mostAttempts
}

// unseen counts the servers that may have failed the request without a note of it: they were down.
func (c *trial) unseen(t ledger.Turn, all []ledger.Attempt) (n int) {
	for server := range c.byServer {
		if server == "" || slices.Contains(serversOf(all), server) {
			continue
		}
		if c.struck(server, t.Start, t.End, silent) {
			n++
		}
	}
	return n
}

// silent are the events in which a server fails requests without a note, because its process does not read them.
var silent = map[string]time.Duration{"kill": 3 * time.Second, "terminate": 3 * time.Second, "freeze": 3 * time.Second}

// hanging are the events in which a server may owe the head of an answer for long.
var hanging = map[string]time.Duration{"hang": 0, "freeze": 0}

// anyStruck reports whether a server that may have had the request was struck.
func (c *trial) anyStruck(t ledger.Turn, kinds map[string]time.Duration) bool {
	for server := range c.byServer {
		if c.struck(server, t.Start, t.End, kinds) && server != "" {
			return true
		}
	}
	return false
}

func (c *trial) tetherStruck(t ledger.Turn, kinds ...string) bool {
	all := map[string]time.Duration{}
	for _, k := range kinds {
		all[k] = slack
	}
	return c.struck("", t.Start, t.End, all)
}

// whyLost: a stored response is lost with its server's process, or when the server leaves the list.
func (c *trial) whyLost(t ledger.Turn) string {
	made, at := c.madeBy(t)
	if made != "" && c.struck(made, at, t.End, map[string]time.Duration{"kill": 0, "terminate": 0, "remove": 0}) {
		return "the response died with its server"
	}
	return ""
}

// whyWaits: while its server is down, no other server answers that it does not have a stored response.
func (c *trial) whyWaits(t ledger.Turn) string {
	if made, _ := c.madeBy(t); made != "" && c.struck(made, t.Start, t.End, unhealthy) {
		return "the response's server is down"
	}
	return ""
}

// unhealthy are the events in which health finds a server down, and how long after them it is not up again.
var unhealthy = map[string]time.Duration{
	"flap": 3 * time.Second, "hang-health": 3 * time.Second, "freeze": 3 * time.Second, "kill": 3 * time.Second, "terminate": 3 * time.Second,
}

// madeBy returns the server of the last whole answer of the conversation before a turn, and when that began: the response which the turn names.
func (c *trial) madeBy(t ledger.Turn) (server string, at time.Time) {
	for _, o := range c.turnsOf(t.Conversation) {
		if o.Result == ledger.Whole && o.Start.Before(t.Start) && o.Start.After(at) {
			server, at = o.Server, o.Start
		}
	}
	return server, at
}

// whyCut returns why a cut answer is allowed: the server that answered cut it.
func (c *trial) whyCut(t ledger.Turn) string {
	all := c.byID[t.ID]
	if len(all) == 0 {
		return ""
	}
	a := all[len(all)-1]
	to := t.End
	if c.struck(a.Server, a.At, to, map[string]time.Duration{"kill": 0, "terminate": 0, "freeze": 0}) {
		return "the server died or stopped"
	}
	if slices.ContainsFunc(a.Faults, func(f string) bool { return strings.HasPrefix(f, "cut-") || f == "stall" }) {
		return "the server cut it"
	}
	return ""
}

// whyNoAnswer returns why a connection may end without an answer: tether had closed it, and no server got the request.
func (c *trial) whyNoAnswer(t ledger.Turn) string {
	if len(c.byID[t.ID]) > 0 {
		return ""
	}
	switch {
	case t.Behind:
		return "the answer before it ended the connection"
	case t.Reused && c.tetherStruck(t, "restart", "handover", "descriptors"):
		return "an idle connection was closed"
	case c.tetherStruck(t, "descriptors"):
		return "a connection without a whole request was closed"
	}
	return ""
}

// story tells where a request was.
func (c *trial) story(t ledger.Turn) (lines []string) {
	for _, a := range c.byID[t.ID] {
		lines = append(lines, storyOf(a))
	}
	return lines
}
