package session

import (
	"slices"
	"time"

	"tether/upstream"
	"tether/upstream/models"
)

// candidates are the upstreams that one request can choose from, by their indexes in the table.
type candidates struct {
	*view
	model []byte
	tried []*upstream.Server
	now   time.Time // of the present choice

	byLoad bool    // the load of upstreams decides with the ring
	shares bool    // other processes may have served turns of the session that this one does not know
	kept   int64   // tokens of the prompt that the session's upstream must have cached because of such turns
	turn   uint64  // of the choice
	rate   float64 // tokens of the model's prompts that a server computes in a second

	silent time.Duration // how long the session was silent before this request

	// asked are the ids that were last asked for the model, and has is their answer: most upstreams have the same ids.
	asked *models.IDs
	has   bool
	// modelKnown is true once modelListed tells whether any upstream lists the model.
	modelKnown, modelListed bool
}

// purpose is what a request wants of an upstream. It decides which obstacles count.
type purpose uint8

const (
	// The next four are new places for a session, the strictest first. A request takes the first of them for which an
	// upstream is eligible.
	newPlace         purpose = iota // on an upstream that is up, and neither suspect nor leaving nor hung, and has not just said that it is full
	newPlaceFull                    // on an upstream that is up, and neither suspect nor leaving
	newPlaceDoubtful                // on any upstream that is up
	newPlaceFailOpen                // on any upstream, if probe timeouts alone keep all of them down

	servePinned // serve a session that is pinned to the upstream
	stayPinned  // remain the place of a session that is pinned to the upstream, wherever this request goes
	serveStored // serve a request about a response that the upstream stores
	takeOver    // become the place of a session whose response the upstream stores
)

// obstacle is the reason why an upstream is not eligible for a purpose: the first one, if there are several.
type obstacle uint8

const (
	nothing obstacle = iota
	alreadyTried
	weightless
	draining
	notUp
	suspect
	leaving
	full
	hung
	notServing
)

// obstacle returns what keeps upstream i from serving the request for a purpose. A server at its limit is the last obstacle: without
// it, the upstream would serve. It does not count for serveStored: no other upstream has the response, so the request is not sent elsewhere.
func (c *candidates) obstacle(i int, p purpose) obstacle {
	m := &c.table.Members[i]
	s := m.State()
	takesSessions := p <= newPlaceFailOpen || p == takeOver
	pinned := p == servePinned || p == stayPinned
	switch {
	case slices.Contains(c.tried, m.Server): // its other ranks are the same process, and fail with it
		return alreadyTried
	case takesSessions && m.Weight == 0:
		return weightless
	case takesSessions && s.Draining(), pinned && (s.DrainingHard() || s.Draining() && m.MovesPinned(c.silent, c.now)):
		return draining
	case s.Health() != upstream.Up && !c.mayAnswer(s.Health(), p):
		return notUp
	case p <= newPlaceFull && s.Suspect():
		return suspect
	case (p <= newPlaceFull || p == takeOver) && s.Leaving(),
		pinned && s.LeavingConfirmed() && c.hasAlternative(i):
		return leaving
	case p == newPlace && m.Full(c.now):
		return full
	case p == newPlace && c.byLoad && m.IsSilent(c.now):
		return hung
	case !c.serves(i):
		return notServing
	case (p <= newPlaceFailOpen || p == servePinned) && m.AtLimit():
		return full
	}
	return nothing
}

func (c *candidates) eligible(i int, p purpose) bool { return c.obstacle(i, p) == nothing }

// at returns the upstream of a pin, -1 if the upstream may not serve the pin's session.
func (c *candidates) at(to upstream.Ref) int {
	i := c.table.Index(to)
	if i < 0 || !c.eligible(i, servePinned) {
		return -1
	}
	return i
}

// ignoringTried are the candidates as if the request had tried none.
func (c *candidates) ignoringTried() candidates {
	all := *c
	all.tried = nil
	return all
}

// mayAnswer reports whether an upstream that is not up may answer a request for a purpose all the same.
func (c *candidates) mayAnswer(h upstream.Health, p purpose) bool {
	switch p {
	case newPlace, newPlaceFull, newPlaceDoubtful:
		return false
	case newPlaceFailOpen:
		return true
	}
	return h == upstream.TimedOut && c.failOpen()
}

// failOpen reports whether probe timeouts alone keep all upstreams down that serve the model: the servers may be slower
// than probes wait, and still answer requests.
func (c *candidates) failOpen() bool {
	serving := false
	for i, m := range c.table.Members {
		if !c.serves(i) {
			continue
		}
		if serving = true; m.State().Health() != upstream.TimedOut {
			return false
		}
	}
	return serving
}

// hasAlternative reports whether another upstream than i is a new place for the sessions of i, now or when its server is below its limit.
func (c *candidates) hasAlternative(i int) bool {
	for j := range c.table.Members {
		if j == i {
			continue
		}
		if o := c.obstacle(j, newPlaceFull); o == nothing || o == full {
			return true
		}
	}
	return false
}

// serves reports whether upstream i may serve the model. A list of models in the configuration is certain. The lists that
// servers give fail open: an upstream whose list is unknown may serve any model, and a model on no list may go to any
// upstream without a configured list, so that a server says that it does not know the model.
func (c *candidates) serves(i int) bool {
	m := &c.table.Members[i]
	if len(c.model) == 0 {
		return true
	}
	if ids := m.IDs(); ids == nil || c.isAmong(ids) {
		return true
	}
	return m.Assigned() == nil && !c.isListed()
}

// isAmong reports whether the model is among the ids. It remembers the answer for the next upstream with the same ids.
func (c *candidates) isAmong(ids *models.IDs) bool {
	if c.asked != ids {
		c.asked, c.has = ids, ids.Has(c.model)
	}
	return c.has
}

// isListed reports whether any upstream lists the model. It looks once.
func (c *candidates) isListed() bool {
	if !c.modelKnown {
		c.modelKnown = true
		c.modelListed = slices.ContainsFunc(c.table.Members, func(m upstream.Member) bool { return m.IDs().Has(c.model) })
	}
	return c.modelListed
}

// assignable reports whether upstream i may serve the model as far as the configuration says.
func (c *candidates) assignable(i int) bool {
	a := c.table.Members[i].Assigned()
	return a == nil || len(c.model) == 0 || a.Has(c.model)
}

// restricted reports whether the configuration restricts the model to some upstreams: it assigns the model, or only other
// models to some upstream.
func (c *candidates) restricted() bool {
	if c.assigned == nil || c.assigned[string(c.model)] {
		return c.assigned != nil
	}
	for i := range c.table.Members {
		if !c.assignable(i) {
			return true
		}
	}
	return false
}

// words says why a request that tried no upstream before does not go to u, for people. They hold no address.
func (o obstacle) words(u *upstream.Upstream) string {
	switch o {
	case alreadyTried:
		return "tried before"
	case weightless:
		return "weight 0"
	case draining:
		switch {
		case u.State().DrainingHard():
			return "draining hard"
		case !u.MovesAllAt().IsZero():
			return "draining, and idle sessions move"
		}
		return "draining"
	case notUp:
		return notUpWords(u)
	case suspect:
		return "suspect: requests had trouble connecting"
	case leaving:
		return "leaving: it said that it is shutting down"
	case full:
		if u.AtLimit() {
			return "full: it has as many requests in flight as its max_in_flight"
		}
		return "full: it has just refused a request"
	case hung:
		return "hung: it has sent nothing for too long while a request waits"
	case notServing:
		return "does not serve the model"
	}
	return ""
}

func notUpWords(u *upstream.Upstream) string {
	_, reason := u.Since()
	if reason != "" {
		reason = ": " + reason
	}
	switch u.State().Health() {
	case upstream.Unknown:
		return "no verdict of its health yet"
	case upstream.TimedOut:
		return "down by timeouts" + reason
	case upstream.Down:
		return "down" + reason
	}
	return "was down until now"
}
