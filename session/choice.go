package session

import (
	"slices"

	"tether/ring"
	"tether/upstream"
)

// choice is what one request can choose from: the upstreams of a view, without the servers it tried, and those that by
// their lists serve its model.
type choice struct {
	r     *Router
	v     *view
	model []byte
	tried []*upstream.Server
	known knowledge
	tier  tier // what acceptable asks for
	// heard takes in what there is to explain; nil on the way of a request.
	heard *hearing
}

// hearing is what speaks against upstreams, by what was last asked about them.
type hearing struct {
	places []obstacle // against members as new places
	pin    obstacle   // against the session's pin
}

// knowledge is whether any upstream lists a model, found out when it matters.
type knowledge uint8

const (
	unasked knowledge = iota
	listed
	unlisted
)

// tier is a condition for a new place. Where nobody meets one, the next is asked.
type tier uint8

const (
	sound    tier = iota // up, and nothing speaks against it
	doubtful             // up, though suspect or leaving
	blind                // down by timeouts, and so is everybody: probes may be slower than requests
	noTier
)

// order is the way in which new places are looked at.
type order uint8

const (
	byRing  order = iota // as the ring has them
	lighter              // the less loaded of two drawn at random
	inTurn               // one after another
	anyhow               // to see whether there is one
)

// first gives the first upstream of the order that is acceptable as a new place, tier by tier, or nil. place is
// where the ring starts.
func (c *choice) first(o order, place uint64) *upstream.Upstream {
	for c.tier = sound; c.tier < noTier; c.tier++ {
		if c.tier == blind && !c.failOpen() {
			break
		}
		i := -1
		switch o {
		case byRing:
			walk := c.walk(place)
			i = walk.Next(c.acceptable)
		case lighter:
			i = c.lighter()
		case inTurn:
			i = c.scan(int(c.r.turn.Add(1)), -1)
		case anyhow:
			i = c.scan(0, -1)
		}
		if i >= 0 {
			return c.v.table.Members[i].Upstream
		}
	}
	return nil
}

// walk starts the order of place: over all, or, for a model that the configuration names, by the rendezvous, in which
// those that do not serve it move none of its sessions, whether there are any now or not.
func (c *choice) walk(place uint64) ring.Walk {
	if c.parted() {
		return c.v.ring.Rendezvous(place)
	}
	return c.v.ring.Walk(place)
}

// parted reports whether the configuration says who serves the model: it names the model, or others for some member.
func (c *choice) parted() bool {
	if c.v.assigned == nil || c.v.assigned[string(c.model)] {
		return c.v.assigned != nil
	}
	for i := range c.v.table.Members {
		if !c.allowed(i) {
			return true
		}
	}
	return false
}

// allowed reports whether the member with index i may serve the model as far as the configuration says.
func (c *choice) allowed(i int) bool {
	a := c.v.table.Members[i].Assigned()
	return a == nil || len(c.model) == 0 || a.Has(c.model)
}

// acceptable reports whether the member with index i is a new place on the present tier.
func (c *choice) acceptable(i int) bool {
	o := c.against(i)
	if c.heard != nil {
		c.heard.places[i] = o
	}
	return o == nothing
}

// against is what speaks against the member with index i as a new place on the present tier.
func (c *choice) against(i int) obstacle {
	m := &c.v.table.Members[i]
	s := m.State()
	switch {
	case m.Weight == 0:
		return weightless
	case s.Draining():
		return draining
	case c.tier <= doubtful && s.Health() != upstream.Up:
		return notUp
	case c.tier == sound && s.Suspect():
		return suspect
	case c.tier == sound && s.Leaving():
		return leaving
	case !c.open(m.Upstream):
		return closed
	}
	return nothing
}

// failOpen reports whether all upstreams that serve the model are down by probe timeouts alone.
func (c *choice) failOpen() bool {
	some := false
	for _, m := range c.v.table.Members {
		if !c.serves(m.Upstream) {
			continue
		}
		if some = true; m.State().Health() != upstream.TimedOut {
			return false
		}
	}
	return some
}

// holds reports whether u may serve the sessions that are pinned to it.
func (c *choice) holds(u *upstream.Upstream) bool { return c.againstPin(u) == nothing }

// settles reports whether u may become the place of a session that a response led there.
func (c *choice) settles(u *upstream.Upstream) bool {
	s := u.State()
	return !s.Draining() && !s.Leaving() && c.v.table.Named(u.Name()).Weight > 0 && c.holds(u)
}

// againstPin is what keeps u from serving the sessions that are pinned to it.
func (c *choice) againstPin(u *upstream.Upstream) obstacle {
	s := u.State()
	switch {
	case s.DrainingHard():
		return draining
	case !c.answers(u):
		return notUp
	case s.LeavingConfirmed() && c.another(u):
		return leaving
	case !c.serves(u):
		return closed
	}
	return nothing
}

// another reports whether a sound upstream other than u could take u's sessions.
func (c *choice) another(u *upstream.Upstream) bool {
	c.tier = sound
	for i, m := range c.v.table.Members {
		if m.Upstream != u && c.acceptable(i) {
			return true
		}
	}
	return false
}

// open reports whether u was not tried and serves the model.
func (c *choice) open(u *upstream.Upstream) bool { return !c.wasTried(u) && c.serves(u) }

// wasTried reports whether u was, or another rank of its server: they are one process, and fail together.
func (c *choice) wasTried(u *upstream.Upstream) bool { return slices.Contains(c.tried, u.Server) }

// answers reports whether u is up, or may be although probes time out.
func (c *choice) answers(u *upstream.Upstream) bool {
	h := u.State().Health()
	return h == upstream.Up || h == upstream.TimedOut && c.failOpen()
}

// serves reports whether u may serve the model. What the configuration says is certain. Lists of the servers fail open:
// an upstream whose list is unknown may, and a model that is on no list may go to any of them, for the server to say that
// it does not know it.
func (c *choice) serves(u *upstream.Upstream) bool {
	if len(c.model) == 0 || u.Models() == nil || u.Models().Has(c.model) {
		return true
	}
	if u.Assigned() != nil {
		return false
	}
	if c.known == unasked {
		c.known = unlisted
		for _, m := range c.v.table.Members {
			if m.Models().Has(c.model) {
				c.known = listed
				break
			}
		}
	}
	return c.known == unlisted
}

// lighter gives, of two acceptable members drawn at random, the one with fewer requests in flight; ties go by
// rotation. -1 is none.
func (c *choice) lighter() int {
	a := c.draw(-1)
	b := c.draw(a)
	if b < 0 {
		return a
	}
	x, y := c.v.table.Members[a].InFlight(), c.v.table.Members[b].InFlight()
	if y < x || y == x && c.r.turn.Add(1)%2 == 0 {
		return b
	}
	return a
}

// drawTries bounds the random draws before a scan from a random start decides.
const drawTries = 8

// draw gives an acceptable member other than except, at random by the weights.
func (c *choice) draw(except int) int {
	n := len(c.v.table.Members)
	if n == 0 {
		return -1
	}
	for range drawTries {
		i := c.r.random(n)
		if i != except && c.r.random(ring.FullWeight) < c.v.table.Members[i].Weight && c.acceptable(i) {
			return i
		}
	}
	return c.scan(c.r.random(n), except)
}

// scan gives the first acceptable member from start on, other than except.
func (c *choice) scan(start, except int) int {
	n := len(c.v.table.Members)
	for k := range n {
		if i := (start + k) % n; i != except && c.acceptable(i) {
			return i
		}
	}
	return -1
}
