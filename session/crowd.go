package session

import (
	"math/rand/v2"
	"sync"

	"tether/session/identity"
)

// crowds counts the requests in flight under the ids that conversations have, or that many conversations share: few-shot prompts,
// greetings, groups of equal prompts, ids of teams, constants. A crowd holds as many of them as one conversation may have; the
// others are its surplus. The requests in flight bound its size.
type crowds struct {
	seed   [2]uint64 // spreads keys over shards so that no client can aim at one
	shards [1 << crowdBits]crowdShard
}

// crowdBits leaves 10 crowds in a shard at 10,000 requests in flight.
const crowdBits = 10

type crowdShard struct {
	mu sync.Mutex
	of []crowd // guarded by mu; has no crowd without requests
}

// crowd is the requests in flight under one id.
type crowd struct {
	key         identity.Key
	inside, all int
}

func newCrowds() *crowds { return &crowds{seed: [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}} }

func (c *crowds) shard(k identity.Key) *crowdShard {
	return &c.shards[(k.Hi*c.seed[0]+k.Lo*c.seed[1])>>(64-crowdBits)]
}

// find returns the crowd of an id, nil if the id has none.
func (s *crowdShard) find(k identity.Key) *crowd {
	for i := range s.of {
		if s.of[i].key == k {
			return &s.of[i]
		}
	}
	return nil
}

// enter counts a request until leave, inside the crowd unless limit requests are in it already. all is how many requests are in flight
// under the id, this one included.
func (c *crowds) enter(k identity.Key, limit int) (all int, inside bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(k)
	if n == nil {
		s.of = append(s.of, crowd{key: k})
		n = &s.of[len(s.of)-1]
	}
	n.all++
	if inside = n.inside < limit; inside {
		n.inside++
	}
	return n.all, inside
}

// look returns how many requests are in flight under the id, and whether the next one would find the crowd full.
func (c *crowds) look(k identity.Key, limit int) (all int, full bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.find(k); n != nil {
		return n.all, n.inside >= limit
	}
	return 0, limit <= 0
}

// leave takes back what enter counted.
func (c *crowds) leave(k identity.Key, inside bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(k)
	if inside {
		n.inside--
	}
	if n.all--; n.all == 0 {
		last := len(s.of) - 1
		*n, s.of = s.of[last], s.of[:last]
	}
}

// crowdLimit is how many requests may be in flight under the request's id before its surplus is spread, 0 if the request belongs to no
// crowd: tether has just made its id, or it is one of a family, which stays together.
func (c *Config) crowdLimit(req *Request) int {
	switch {
	case req.Key.IsZero():
		return 0
	case req.Shared:
		return c.OpeningMaxInFlight
	case req.Synthetic, req.Subagent:
		return 0
	}
	return c.MaxInFlight
}

// sharing is what a request knows of the others that are in flight under its id.
type sharing struct {
	inFlight int  // requests in flight under its id when it began, itself included; 0 if they are not counted
	surplus  bool // the crowd of its id is full without this request
	entered  bool // in the crowd of its id, or its surplus
	shared   bool // many conversations may have the id
}

// Surplus reports whether the crowd of an id that many conversations may share was full.
func (s *sharing) Surplus() bool { return s.surplus && s.shared }

// Hot returns how many requests were in flight under the session's own id when this one began, itself included, if they were too many
// for one conversation; otherwise 0.
func (s *sharing) Hot() int {
	if !s.surplus || s.shared {
		return 0
	}
	return s.inFlight
}
