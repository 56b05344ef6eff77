package session

import "tether/upstream"

// place is one of the places at a server, while a request has it. The zero value is none.
type place struct{ at *upstream.Server }

// take takes a place at s in exchange for the one that the request has, or reports that s has none left.
func (p *place) take(s *upstream.Server) bool {
	if s == p.at {
		return true
	}
	if !s.TakePlace() {
		return false
	}
	p.leave()
	p.at = s
	return true
}

func (p *place) leave() {
	if p.at != nil {
		p.at.LeavePlace()
		p.at = nil
	}
}

// someAtLimit reports whether an upstream would take the request if its server were not at its limit: the session's upstream pinned, or
// a new place.
func (c *candidates) someAtLimit(pinned upstream.Ref) bool {
	if i := c.table.Index(pinned); i >= 0 && c.obstacle(i, servePinned) == full {
		return true
	}
	p := newPlaceDoubtful // the last one for which a server counts as full by its limit alone
	if c.failOpen() {
		p = newPlaceFailOpen
	}
	for i := range c.table.Members {
		if c.obstacle(i, p) == full {
			return true
		}
	}
	return false
}
