package main

import (
	"cmp"

	"tether/session"
	"tether/session/balance"
)

// policy chooses the server of a request, nil for none. It reads what the proxy knows of the servers.
type policy func(w *world, r *request) *server

// contender is a policy by its name in the tables.
type contender struct {
	name    string
	policy  policy
	routing session.Config // of the real router
	// replicas is how many tethers there are, 0 for one; shares is what they tell each other.
	replicas int
	shares   sharing
}

// contenders are the policies in the order of the tables. hash and tether are the real router, without and with the load of
// servers. The others are models of their rules.
func contenders() []contender {
	home, byLoad := session.Default(), session.Default()
	home.Balance.Placement, byLoad.Balance.Placement = balance.Home, balance.Load
	return []contender{
		{name: "round robin", policy: roundRobin, routing: home},
		{name: "least in flight", policy: leastInFlight, routing: home},
		{name: "hash", policy: byRouter, routing: home},
		{name: "CHWBL 1.25", policy: boundedHash, routing: home},
		{name: "LMetric", policy: lmetric, routing: home},
		{name: "tether", policy: byRouter, routing: byLoad},
	}
}

// least returns the server that is up with the least cost. Of several, it returns one with the fewest requests in flight, and
// of these the one that was chosen least recently.
func (w *world) least(cost func(s *server) float64) (best *server) {
	var least float64
	for _, s := range w.servers {
		if !s.up() {
			continue
		}
		c := cost(s)
		if best == nil || cmp.Or(cmp.Compare(c, least), cmp.Compare(s.InFlight(), best.InFlight()), cmp.Compare(s.chosen, best.chosen)) < 0 {
			best, least = s, c
		}
	}
	return best
}

// roundRobin takes the servers in turn.
func roundRobin(w *world, _ *request) *server {
	return w.least(func(s *server) float64 { return float64(s.chosen) })
}

func leastInFlight(w *world, _ *request) *server {
	return w.least(func(s *server) float64 { return float64(s.InFlight()) })
}

// boundedHash is consistent hashing with bounded loads (CHWBL): the first server in the order of the ring that would have at
// most 1.25 times the mean number of requests in flight.
func boundedHash(w *world, r *request) *server {
	total, up := int64(1), int64(0)
	for _, s := range w.servers {
		if s.up() {
			total, up = total+s.InFlight(), up+1
		}
	}
	bound := (5*total + 4*up - 1) / (4 * up)
	walk := w.ring.Walk(r.talk.key.Ring())
	i := walk.Next(func(i int) bool { return w.servers[i].up() && w.servers[i].InFlight() < bound })
	return w.servers[i]
}

// lmetric multiplies the prompt tokens that are before the first token of the request with the number of requests on the
// server. Unlike the others, it knows what each server has in its cache.
func lmetric(w *world, r *request) *server {
	charge := func(s *server) int { return r.prompt - min(s.engine.cache.match(r.blocks)*blockTokens, r.kept) }
	best := w.least(func(s *server) float64 { return float64(s.backlog+charge(s)) * float64(s.InFlight()+1) })
	r.charge = charge(best)
	return best
}
