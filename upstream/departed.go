package upstream

import "time"

// departed is a removed server whose requests may still be in flight.
type departed struct {
	server *Server
	since  time.Time
}

// FinishWithin sets how long requests in flight may go on at servers that Apply removed. Run cuts what is left then. The default is
// without a limit.
func (r *Registry) FinishWithin(limit time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish = limit
}

// dismiss retires the servers that next no longer has. r.mu is held.
func (r *Registry) dismiss(before, next *Table) {
	stays := make(map[*Server]bool, len(next.Servers))
	for _, s := range next.Servers {
		stays[s] = true
	}
	now := time.Now()
	for _, s := range before.Servers {
		if !stays[s] {
			s.pool.Retire()
			r.departed = append(r.departed, departed{s, now})
		}
	}
}

// cutOverdue cuts the requests at removed servers that have had their time, and forgets the servers without requests.
func (r *Registry) cutOverdue(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.departed[:0]
	for _, d := range r.departed {
		switch {
		case d.server.states.inFlight() == 0:
		case now.Sub(d.since) < r.finish:
			left = append(left, d)
		default:
			d.server.pool.Cut()
		}
	}
	clear(r.departed[len(left):])
	r.departed = left
}
