package sim

import (
	"maps"
	"net"
	"slices"
	"sync"
)

// connSet is the set of a life's open connections.
type connSet struct {
	changed func() // called without the lock after each change

	mu   sync.Mutex
	all  map[*conn]bool // guarded by mu; true from a request's handler to the last byte of its answer, which net/http sends later
	dead bool           // guarded by mu; further connections are reset
}

// add adds an accepted connection. A connection that is accepted after reset is reset too.
func (s *connSet) add(nc net.Conn) *conn {
	c := &conn{Conn: nc, set: s}
	s.mu.Lock()
	dead := s.dead
	if !dead {
		s.all[c] = false
	}
	s.mu.Unlock()
	if dead {
		c.reset()
	}
	s.changed()
	return c
}

func (s *connSet) remove(c *conn) {
	s.mu.Lock()
	delete(s.all, c)
	s.mu.Unlock()
	s.changed()
}

// setAnswering notes whether more of an answer is to be sent on c.
func (s *connSet) setAnswering(c *conn, answering bool) {
	s.mu.Lock()
	if _, open := s.all[c]; open {
		s.all[c] = answering
	}
	s.mu.Unlock()
	s.changed()
}

// answering reports whether more of an answer is to be sent on any connection.
func (s *connSet) answering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, answering := range s.all {
		if answering {
			return true
		}
	}
	return false
}

func (s *connSet) list() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.all))
}

// reset resets all connections, and those that are accepted from now on.
func (s *connSet) reset() {
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
	for _, c := range s.list() {
		c.reset()
	}
}
