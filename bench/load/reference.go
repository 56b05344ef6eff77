package main

import "time"

// leastCharge is the least number of tokens that a request is charged with.
const leastCharge = 64

// The constants of the reference rule. Times are those of prefill at the rate of the servers.
const (
	awayFromHome  = 1.0              // seconds by which home may be busier than the best server
	movesAt       = 6.0              // seconds by which the pinned server may be busier, besides twice what it has cached
	perRequest    = 0.1              // seconds that a request in flight stands for
	goneAt        = 0.9              // share of the KV capacity after which a conversation's cache is gone
	hungAfter     = 10 * time.Second // without a first byte
	hungPerPrompt = 2.0              // times the time of the oldest prompt, besides
)

// reference is the rule of placement by load. A new conversation goes home by the ring, unless home is much busier than the
// best server. A pinned conversation stays, unless the wait there costs more than computing its prompt again elsewhere.
func reference(w *world, r *request) *server {
	s := referencePlace(w, r)
	r.charge = r.prompt
	if s == r.talk.last {
		r.charge = max(leastCharge, r.prompt-r.talk.prompt)
	}
	return s
}

// referencePlace chooses the server.
func referencePlace(w *world, r *request) *server {
	t, rate := r.talk, w.hardware.rate
	isReady := ready(w)
	best := w.least(func(s *server) float64 {
		if !isReady[s.number] {
			return 1e18
		}
		return backlog(s, rate)
	})
	p := t.last
	if p == nil || !isReady[p.number] || float64(p.charged-t.mark) > goneAt*float64(w.hardware.capacity) {
		walk := w.ring.Walk(t.key.Ring())
		home := w.servers[walk.Next(func(i int) bool { return w.servers[i].up() })]
		if isReady[home.number] && backlog(home, rate) <= backlog(best, rate)+awayFromHome*rate {
			return home
		}
		return best
	}
	if backlog(p, rate)-backlog(best, rate) > 2*float64(t.prompt)+movesAt*rate {
		return best
	}
	return p
}

// backlog is what waits on a server, in tokens.
func backlog(s *server, rate float64) float64 {
	return float64(s.backlog) + perRequest*rate*float64(s.InFlight())
}

// ready reports for each server whether it is up and not hung. If all that are up are hung, they are ready.
func ready(w *world) []bool {
	all, some := make([]bool, len(w.servers)), false
	for i, s := range w.servers {
		all[i] = s.up() && !hung(w, s)
		some = some || all[i]
	}
	for i, s := range w.servers {
		all[i] = all[i] || !some && s.up()
	}
	return all
}

// hung reports whether a server should have begun an answer long ago.
func hung(w *world, s *server) bool {
	if len(s.unanswered) == 0 {
		return false
	}
	oldest := s.unanswered[0]
	limit := hungAfter + time.Duration(hungPerPrompt*float64(oldest.charge)/w.hardware.rate*float64(time.Second))
	return w.clock.Now()-max(oldest.placed, s.lastByte) > limit
}
