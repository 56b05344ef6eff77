package main

import (
	"time"

	"tether/upstream"
)

// server is a simulated server as the proxy sees it: an upstream of the real registry, the model of its engine, and what the
// proxy charged to it.
type server struct {
	*upstream.Upstream
	engine *engine
	number int

	backlog    int           // charges of the requests without a first byte
	charged    int           // charges of all requests so far
	chosen     int           // 1 + the number of the last request that it was chosen for
	unanswered []*request    // without a first byte, the oldest first
	lastByte   time.Duration // when the last answer began

	plans int     // number of the engine's last plan: the ends of earlier plans do not count
	busy  float64 // requests in flight, integrated over time, in request-seconds
}

// place sends a request to the server, with the charge that the policy set.
func (s *server) place(r *request, now time.Duration) {
	r.to, r.placed = s, now
	if r.route == nil { // a route counts for itself
		s.Begin()
	}
	s.backlog += r.charge
	s.charged += r.charge
	s.chosen = r.n + 1
	s.unanswered = append(s.unanswered, r)
}

// answered takes back the charge of a request that was answered, or that failed.
func (s *server) answered(r *request) {
	s.backlog -= r.charge
	for i, other := range s.unanswered {
		if other == r {
			s.unanswered = append(s.unanswered[:i], s.unanswered[i+1:]...)
			return
		}
	}
	panic("BUG: a request is answered twice")
}

func (s *server) up() bool { return s.State().Health() == upstream.Up }
