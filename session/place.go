package session

import (
	"tether/ring"
	"tether/upstream"
)

// order is the way in which a request looks for a new place.
type order uint8

const (
	byRing   order = iota // in the order of the ring
	nearHome              // in the order of the ring, unless the first one is much busier than another
	byLoad                // the least busy one, or with placement: home the less loaded of two that are drawn at random
	inTurn                // one after another
)

// placeOrder is the way in which a request that is pinned to an upstream, 0 for none, looks for a new place, given its order. A session
// that has lost its place goes to the least busy upstream: the ring would send many of a lost upstream's sessions to the same one. With
// return: home, and for new sessions, the place is one that is found again.
func placeOrder(c *candidates, o order, pinned upstream.Ref) order {
	switch {
	case o != byRing || !c.byLoad:
		return o
	case pinned != 0 && c.cfg.Return == Home:
		return byRing
	case pinned != 0, len(c.tried) > 0:
		return byLoad
	}
	return nearHome
}

// place finds a new place for a key: the first eligible upstream in the order, -1 for none. p is the purpose that the
// upstream is eligible for, or without one the last purpose that was tried.
func (r *Router) place(c *candidates, o order, key uint64) (i int, p purpose) {
	return c.relaxing(func(p purpose) int {
		switch {
		case o == nearHome:
			return placeNearHome(c, p, key)
		case o == byLoad && c.byLoad:
			best, _ := leastBusy(c, p)
			return best
		case o == byLoad:
			return r.lessLoaded(c, p)
		case o == inTurn:
			return c.scan(p, int(r.turn.Add(1)), -1)
		}
		walk := c.walk(key)
		return walk.Next(func(i int) bool { return c.eligible(i, p) })
	})
}

// exists reports whether there is a new place.
func (c *candidates) exists() bool {
	i, _ := c.firstInTable()
	return i >= 0
}

// firstInTable is place in the order of the table, without taking a turn.
func (c *candidates) firstInTable() (i int, p purpose) {
	return c.relaxing(func(p purpose) int { return c.scan(p, 0, -1) })
}

// relaxing calls search with the purposes of a new place, the strictest first, until it finds an upstream.
func (c *candidates) relaxing(search func(purpose) int) (i int, p purpose) {
	for _, p = range [...]purpose{newPlace, newPlaceFull, newPlaceDoubtful} {
		if i = search(p); i >= 0 {
			return i, p
		}
	}
	if !c.failOpen() {
		return -1, p
	}
	return search(newPlaceFailOpen), newPlaceFailOpen
}

// walk starts the order of the ring for a key. A model that the configuration restricts goes by the rendezvous: there the
// upstreams that may not serve the model move none of its sessions, whether they are in the table or not.
func (c *candidates) walk(key uint64) ring.Walk {
	if c.restricted() {
		return c.ring.Rendezvous(key)
	}
	return c.ring.Walk(key)
}

// scan returns the first eligible upstream from start on, other than except; -1 for none.
func (c *candidates) scan(p purpose, start, except int) int {
	n := len(c.table.Members)
	for k := range n {
		if i := (start + k) % n; i != except && c.eligible(i, p) {
			return i
		}
	}
	return -1
}

// lessLoaded draws two eligible upstreams at random and returns the one with less load; ties take turns.
// -1 stands for none.
func (r *Router) lessLoaded(c *candidates, p purpose) int {
	a := r.draw(c, p, -1)
	b := r.draw(c, p, a)
	switch {
	case b < 0:
		return a
	case a < 0: // an upstream has become eligible in between
		return b
	}
	x, y := c.table.Members[a].Load(c.now), c.table.Members[b].Load(c.now)
	if y < x || y == x && r.turn.Add(1)%2 == 0 {
		return b
	}
	return a
}

// maxDraws bounds the random draws, before a scan from a random start decides.
const maxDraws = 8

// draw returns an eligible upstream other than except, at random by the weights.
func (r *Router) draw(c *candidates, p purpose, except int) int {
	n := len(c.table.Members)
	if n == 0 {
		return -1
	}
	for range maxDraws {
		i := r.intN(n)
		if i != except && r.intN(ring.FullWeight) < c.table.Members[i].Weight && c.eligible(i, p) {
			return i
		}
	}
	return c.scan(p, r.intN(n), except)
}
