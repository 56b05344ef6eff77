package sim

import "container/list"

// cache is the prefix cache of one engine: hashes of full blocks, least recently used out first. It is not safe for
// concurrent use; its engine's mutex guards it.
type cache struct {
	capacity int // blocks
	blocks   map[uint64]*list.Element
	recent   *list.List // of uint64; front is the most recent
}

func newCache(capacity int) *cache {
	return &cache{capacity: capacity, blocks: map[uint64]*list.Element{}, recent: list.New()}
}

// match counts the leading blocks of the chain that are cached.
func (c *cache) match(chain []uint64) int {
	for i, h := range chain {
		if c.blocks[h] == nil {
			return i
		}
	}
	return len(chain)
}

// keep makes the chain's blocks the most recent ones, adding those that are missing. It goes from the last block to the
// first: as in vLLM the end of a prefix is evicted before its beginning, without which the end is worth nothing.
func (c *cache) keep(chain []uint64) {
	for i := len(chain) - 1; i >= 0; i-- {
		c.keepOne(chain[i])
	}
}

func (c *cache) keepOne(h uint64) {
	if e := c.blocks[h]; e != nil {
		c.recent.MoveToFront(e)
		return
	}
	c.blocks[h] = c.recent.PushFront(h)
	if c.recent.Len() > c.capacity {
		oldest := c.recent.Back()
		delete(c.blocks, c.recent.Remove(oldest).(uint64))
	}
}
