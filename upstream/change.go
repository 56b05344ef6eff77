package upstream

import (
	"slices"
	"sync"
	"time"
)

// Change is one change of the state of an upstream, or of several upstreams of one server at once.
type Change struct {
	// Upstreams are those whose state changed, at least one.
	Upstreams []*Upstream
	// Before and After are what their states had, and have, in common.
	Before, After State
	// Reason says why, in words that hold no address.
	Reason string
}

// Name is the name of the only upstream that changed, else of the server.
func (c *Change) Name() string {
	if len(c.Upstreams) == 1 {
		return c.Upstreams[0].Name()
	}
	return c.Upstreams[0].Server.Name()
}

// states are the states of a server's upstreams. They are written under one lock, so that a change of all upstreams is one
// Change; each is read alone, without the lock.
type states struct {
	onChange func(Change)

	mu        sync.Mutex
	upstreams []*Upstream // guarded by mu, and so is every write of their states; changed by Registry.Apply alone
	since     time.Time   // guarded by mu: when the health last changed
	reason    string      // guarded by mu: why it did
}

// shared is what all states have in common.
func (s *states) shared() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sharedLocked()
}

func (s *states) sharedLocked() State {
	shared := ^State(0)
	for _, u := range s.upstreams {
		shared &= u.State()
	}
	return shared
}

// lastHealthChange is when and why the health last changed.
func (s *states) lastHealthChange() (since time.Time, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.reason
}

// change clears and sets bits of one upstream, or of all if one is nil, and calls onChange if that made a difference.
func (s *states) change(one *Upstream, clear, set State, reason string) {
	c := s.write(one, clear, set, reason)
	if len(c.Upstreams) > 0 {
		s.onChange(c)
	}
}

func (s *states) write(one *Upstream, clear, set State, reason string) Change {
	c := Change{Before: ^State(0), After: ^State(0), Reason: reason}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.upstreams {
		before := u.State()
		after := before&^clear | set
		if after == before || one != nil && one != u {
			continue
		}
		u.state.Store(uint32(after))
		c.Upstreams = append(c.Upstreams, u)
		c.Before &= before
		c.After &= after
	}
	if c.Before.Health() != c.After.Health() {
		s.since, s.reason = time.Now(), reason
	}
	return c
}

// inFlight is the number of requests in flight at all upstreams of the server.
func (s *states) inFlight() (n int64) {
	s.each(func(u *Upstream) { n += u.InFlight() })
	return n
}

// each calls do with each upstream of the server.
func (s *states) each(do func(*Upstream)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.upstreams {
		do(u)
	}
}

// ofRank returns the upstream with that rank, or nil. It needs no lock: Registry.Apply calls it, and alone changes upstreams.
func (s *states) ofRank(rank int) *Upstream {
	for _, u := range s.upstreams {
		if u.rank == rank {
			return u
		}
	}
	return nil
}

// adopt replaces the server's upstreams. New ones begin in the state that the former ones had in common.
func (s *states) adopt(upstreams []*Upstream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.upstreams) > 0 {
		shared := s.sharedLocked()
		for _, u := range upstreams {
			if !slices.Contains(s.upstreams, u) {
				u.state.Store(uint32(shared))
			}
		}
	}
	s.upstreams = upstreams
}
