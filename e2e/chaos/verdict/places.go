package verdict

import (
	"slices"
	"time"

	"tether/e2e/chaos/ledger"
)

// places: a conversation stays on its server while that lives and nothing drives it away.
func (c *trial) places() {
	for _, turns := range c.conversations() {
		p := place{c: c}
		for _, t := range turns {
			p.see(t)
		}
	}
}

// place is where one conversation may be pinned.
type place struct {
	c *trial
	// pins are the servers that the conversation may be pinned to: one, unless its client has not seen where a turn went.
	pins []string
	// confirmed means that a client has seen an answer below 400. Before that, a pin may be dropped with its request.
	confirmed bool
	seen      time.Time // the end of the last turn that its pin served
}

// see judges a turn, and notes where the conversation is after it.
func (p *place) see(t ledger.Turn) {
	if p.seen.IsZero() {
		p.seen = t.Start
	}
	if t.Server == "" || t.Affinity == "" || t.Affinity == "none" {
		p.widen(t)
		return
	}
	p.judge(t)
	if t.Affinity == "spilled" || t.Status >= 400 {
		p.widen(t)
		return
	}
	p.pins, p.confirmed, p.seen = []string{t.Server}, true, t.End
}

// judge judges a turn whose client knows where it went.
func (p *place) judge(t ledger.Turn) {
	var text string
	switch t.Affinity {
	case "pinned":
		if !slices.Contains(p.pins, t.Server) {
			text = "pinned to %s, but the conversation was at %v"
		}
	case "spilled":
		text = "spilled to %s, but nothing was wrong at %v"
	default:
		if p.confirmed {
			text = t.Affinity + " at %s, but nothing has driven it from %v"
		}
	}
	if text != "" && !p.driven(t) {
		p.c.add("places", t, t.API+" "+t.Source+": "+text, t.Server, p.pins)
	}
}

// widen adds the servers that got a turn whose outcome its client has not seen.
func (p *place) widen(t ledger.Turn) {
	if t.Affinity == "spilled" {
		return
	}
	for _, a := range p.c.byID[t.ID] {
		if !slices.Contains(p.pins, a.Server) {
			p.pins = append(p.pins, a.Server)
		}
	}
}

// driven reports whether one of the servers of the conversation had an event since it served the conversation last, or was overloaded, or
// whether the conversation is on no server.
func (p *place) driven(t ledger.Turn) bool {
	if len(p.pins) == 0 {
		return true
	}
	for _, server := range p.pins {
		if p.c.struck(server, p.seen, t.End, driving) || p.c.inFlight(server, t.Start, t.End) > overloaded {
			return true
		}
	}
	return false
}

// overloaded is the number of requests at a server beyond which its conversations may go to a less busy one. Without a fault a server has about
// ten; when tether starts again, a thousand clients have waited for that.
const overloaded = 60

// inFlight returns the number of requests that a server had in a time.
func (c *trial) inFlight(server string, from, to time.Time) (n int) {
	for _, a := range c.l.Attempts {
		if a.Server == server && a.At.Before(to) && (!a.Done() || a.End.After(from)) && a.At.After(from.Add(-time.Minute)) {
			n++
		}
	}
	return n
}

// driving are the events that drive conversations from a server, and how long they do: health must find the server up again.
var driving = map[string]time.Duration{
	"kill": 4 * time.Second, "terminate": 4 * time.Second, "freeze": 4 * time.Second, "hang": 4 * time.Second, "hang-health": 4 * time.Second,
	"flap": 4 * time.Second, "reset": 0, "close": 0, "503": 0, "slow": 2 * time.Second, "queue-full": 0, "stall": 0,
	"shutdown-text": 2 * time.Minute, // the server counts as leaving for so long
	"drain-hard":    2 * time.Second, "remove": 4 * time.Second,
}
