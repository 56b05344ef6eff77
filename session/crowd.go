package session

import (
	"sync"

	"tether/session/identity"
)

// crowds counts the requests in flight under ids that many conversations may share: few-shot prompts, greetings, groups
// of equal prompts. The requests in flight bound its size.
type crowds struct{ shards [16]crowdShard }

type crowdShard struct {
	mu sync.Mutex
	n  map[identity.Key]int // guarded by mu; has no zeros
}

func newCrowds() *crowds {
	c := new(crowds)
	for i := range c.shards {
		c.shards[i].n = make(map[identity.Key]int)
	}
	return c
}

func (c *crowds) shard(k identity.Key) *crowdShard { return &c.shards[k.Lo%uint64(len(c.shards))] }

// enter counts a request, unless limit requests are counted under the id already.
func (c *crowds) enter(k identity.Key, limit int) bool {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[k] >= limit {
		return false
	}
	s.n[k]++
	return true
}

// full reports whether enter would refuse a request.
func (c *crowds) full(k identity.Key, limit int) bool {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[k] >= limit
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
