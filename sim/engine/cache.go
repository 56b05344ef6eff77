package engine

import "container/list"

// cache is the prefix cache of one engine. It holds the hashes of full blocks, and evicts the least recently used one.
// It is not safe for concurrent use: the mutex of its engine guards it.
type cache struct {
	capacity int // blocks
	blocks   map[uint64]*list.Element
	recent   *list.List         // of uint64; the front is the most recent block
	evicted  [2]map[uint64]bool // blocks that were evicted, the newest of them first
}

// maxEvicted is how many times as many evicted blocks are remembered as the cache holds, at least.
const maxEvicted = 16

func newCache(capacity int) *cache {
	return &cache{capacity: capacity, blocks: map[uint64]*list.Element{}, recent: list.New(), evicted: [2]map[uint64]bool{{}, {}}}
}

// evict notes that a block was evicted.
func (c *cache) evict(h uint64) {
	delete(c.blocks, h)
	if len(c.evicted[0]) >= maxEvicted*c.capacity {
		c.evicted[0], c.evicted[1] = map[uint64]bool{}, c.evicted[0]
	}
	c.evicted[0][h] = true
}

// wasEvicted counts the blocks that the cache had, and has no longer.
func (c *cache) wasEvicted(chain []uint64) (blocks int) {
	for _, h := range chain {
		if c.blocks[h] == nil && (c.evicted[0][h] || c.evicted[1][h]) {
			blocks++
		}
	}
	return blocks
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

// keep adds the missing blocks of the chain, and makes all of them the most recent ones. It goes from the last block to the
// first, so that, as in vLLM, the end of a prefix is evicted before its beginning: the end is worthless without the beginning.
func (c *cache) keep(chain []uint64) {
	for i := len(chain) - 1; i >= 0; i-- {
		c.keepBlock(chain[i])
	}
}

func (c *cache) keepBlock(h uint64) {
	if e := c.blocks[h]; e != nil {
		c.recent.MoveToFront(e)
		return
	}
	c.blocks[h] = c.recent.PushFront(h)
	if c.recent.Len() > c.capacity {
		oldest := c.recent.Back()
		c.evict(c.recent.Remove(oldest).(uint64))
	}
}
