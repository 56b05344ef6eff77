package demo

import (
	"maps"
	"sync"

	"tether/sim"
)

// sightings is what the simulated servers saw: to which of them each conversation's requests came.
type sightings struct {
	servers int

	mu     sync.Mutex
	last   map[int]int // guarded by mu; the server of each conversation that goes on
	outage *outage     // guarded by mu; nil before the first
}

// outage is what the servers saw since one of them was killed. Its maps are by conversation.
type outage struct {
	dead    int
	back    bool         // it is alive again
	home    map[int]int  // the server when it happened, or the first one since
	orphans map[int]bool // was on the dead server, or came to it in its last moment
	now     map[int]int  // the server of those that were seen since
	left    map[int]bool // was seen elsewhere than at home
}

func newSightings(servers int) *sightings {
	return &sightings{servers: servers, last: map[int]int{}}
}

// hook is what the server of a number calls for each request that it read.
func (s *sightings) hook(server int) func(sim.Seen) {
	return func(q sim.Seen) {
		if n, ok := numberOf(q.Body); ok {
			s.saw(n, server)
		}
	}
}

// saw notes each attempt, answered or not: who comes to a server loads its cache.
func (s *sightings) saw(conversation, server int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[conversation] = server
	o := s.outage
	if o == nil {
		return
	}
	home, known := o.home[conversation]
	if !known {
		home, o.home[conversation] = server, server
		o.orphans[conversation] = server == o.dead && !o.back
	}
	o.now[conversation] = server
	if server != home {
		o.left[conversation] = true
	}
}

// ended forgets a conversation that has no further turn.
func (s *sightings) ended(conversation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, conversation)
}

// killed begins an outage: it is called just before the server is killed.
func (s *sightings) killed(server int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = &outage{dead: server, home: maps.Clone(s.last), orphans: map[int]bool{}, now: map[int]int{}, left: map[int]bool{}}
	for conversation, home := range s.last {
		s.outage.orphans[conversation] = home == server
	}
}

// returned says that the server is about to live again: conversations that begin on it from now on lose nothing.
func (s *sightings) returned() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage.back = true
}

// sessions counts, for each server, the conversations whose latest request it got.
func (s *sightings) sessions() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make([]int, s.servers)
	for _, server := range s.last {
		counts[server]++
	}
	return counts
}

// moves is how the conversations of some servers fared in an outage: of those that asked again, how many changed their
// server at least once, and where they are now.
type moves struct {
	of, moved int
	to        []int // by server
}

// moves tells those of the dead server from the others, to which those belong that began since.
func (s *sightings) moves() (orphans, others moves) {
	s.mu.Lock()
	defer s.mu.Unlock()
	orphans.to, others.to = make([]int, s.servers), make([]int, s.servers)
	for conversation, server := range s.outage.now {
		m := &others
		if s.outage.orphans[conversation] {
			m = &orphans
		}
		m.of++
		if s.outage.left[conversation] {
			m.moved++
			m.to[server]++
		}
	}
	return orphans, others
}

// settled reports whether each conversation that goes on has asked again since the outage began.
func (s *sightings) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conversation := range s.last {
		if _, seen := s.outage.now[conversation]; !seen {
			return false
		}
	}
	return true
}
