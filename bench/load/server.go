package main

import "tether/upstream"

// server is a simulated server as the proxy sees it: an upstream of the real registry, the model of its engine, and what the
// models of policies charged to it.
type server struct {
	*upstream.Upstream                      // as the first tether sees it
	seen               []*upstream.Upstream // as each tether sees it
	engine             *engine
	number             int

	backlog int // charges of the requests without a first byte
	chosen  int // 1 + the number of the last request that it was chosen for

	plans int     // number of the engine's last plan: the ends of earlier plans do not count
	busy  float64 // requests in flight, integrated over time, in request-seconds
}

// place sends a request to the server, with the charge that the policy set.
func (s *server) place(r *request) {
	r.to = s
	if r.route == nil { // a route counts for itself
		s.Begin()
	}
	s.backlog += r.charge
	s.chosen = r.n + 1
}

// answered takes back the charge of a request that was answered, or that failed.
func (s *server) answered(r *request) {
	if s.backlog -= r.charge; s.backlog < 0 {
		panic("BUG: a request is answered twice")
	}
}

// setHealth is what all tethers find out about the server.
func (s *server) setHealth(h upstream.Health) {
	for _, u := range s.seen {
		u.SetHealth(h, "simulated")
	}
}

// requests returns how many requests are in flight at the server, of all tethers.
func (s *server) requests() (n int64) {
	for _, u := range s.seen {
		n += u.InFlight()
	}
	return n
}

func (s *server) up() bool { return s.State().Health() == upstream.Up }
