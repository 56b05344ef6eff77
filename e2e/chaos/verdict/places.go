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
	last      time.Time // the end of the last turn
}

// see judges a turn, and notes where the conversation is after it.
func (p *place) see(t ledger.Turn) {
	from := p.last
	if t.Start.Before(from) || from.IsZero() {
		from = t.Start
	}
	p.last = t.End
	if t.Server == "" || t.Affinity == "" || t.Affinity == "none" {
		p.widen(t)
		return
	}
	at := slices.Contains(p.pins, t.Server)
	switch {
	case t.Affinity == "pinned" && !at && !p.driven(from, t):
		p.c.add("places", t, "%s %s: pinned to %s, but the conversation was at %v", t.API, t.Source, t.Server, p.pins)
	case (t.Affinity == "moved" || t.Affinity == "new") && p.confirmed && !p.driven(from, t):
		p.c.add("places", t, "%s %s: %s at %s, but nothing has driven it from %v", t.API, t.Source, t.Affinity, t.Server, p.pins)
	case t.Affinity == "spilled" && !p.driven(from, t):
		p.c.add("places", t, "%s %s: spilled to %s, but nothing was wrong at %v", t.API, t.Source, t.Server, p.pins)
	}
	if t.Affinity == "spilled" || t.Result == ledger.Failed {
		p.widen(t)
		return
	}
	p.pins, p.confirmed = []string{t.Server}, true
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

// driven reports whether one of the servers of the conversation had an event in the time since its last turn, or had none before.
func (p *place) driven(from time.Time, t ledger.Turn) bool {
	if len(p.pins) == 0 {
		return true
	}
	for _, server := range p.pins {
		if p.c.struck(server, from, t.End, driving) {
			return true
		}
	}
	return false
}

// driving are the events that drive conversations from a server, and how long they do: health must find the server up again.
var driving = map[string]time.Duration{
	"kill": 4 * time.Second, "terminate": 4 * time.Second, "freeze": 4 * time.Second, "hang": 4 * time.Second, "hang-health": 4 * time.Second,
	"flap": 4 * time.Second, "reset": 0, "close": 0, "503": 0, "slow": 2 * time.Second, "queue-full": 0, "stall": 0,
	"shutdown-text": 2 * time.Minute, // the server counts as leaving for so long
	"drain-hard":    2 * time.Second, "remove": 4 * time.Second,
}
