package session

import (
	"sync"

	"tether/session/identity"
)

// crowds counts the requests in flight under ids that many conversations may share: few-shot prompts, greetings,
// groups of equal prompts. It is bounded by the requests in flight.
type crowds struct {
	most   int
	shards [16]crowdShard
}

type crowdShard struct {
	mu sync.Mutex
	n  map[identity.Key]int // guarded by mu; no zeros
}

func newCrowds(most int) *crowds {
	c := &crowds{most: most}
	for i := range c.shards {
		c.shards[i].n = make(map[identity.Key]int)
	}
	return c
}

func (c *crowds) shard(k identity.Key) *crowdShard { return &c.shards[k.Lo%uint64(len(c.shards))] }

// enter counts one request in, unless the id has as many as it may have already.
func (c *crowds) enter(k identity.Key) bool {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[k] >= c.most {
		return false
	}
	s.n[k]++
	return true
}

// full reports whether enter would count no more.
func (c *crowds) full(k identity.Key) bool {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[k] >= c.most
}

// leave takes back what enter counted.
func (c *crowds) leave(k identity.Key) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[k]--; s.n[k] <= 0 {
		delete(s.n, k)
	}
}
