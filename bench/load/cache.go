package main

// blockTokens is the number of tokens in a block of a cache. vLLM's blocks have 16; larger ones make the simulation faster.
const blockTokens = 512

// block names the content of a block and of all blocks before it. Two prompts share a block only if they begin alike.
type block uint64

// blocksOf returns the number of blocks that tokens fill, the last one perhaps in part.
func blocksOf(tokens int) int { return (tokens + blockTokens - 1) / blockTokens }

// cache is the KV cache of a server. A running request holds the blocks of its prompt, and blocks for its answer, which no
// later request finds. Blocks that no request holds stay until others need their memory: the least recently released one
// goes first, and of one prompt the last block.
type cache struct {
	free   int // blocks of memory that are unused
	nodes  map[block]*node
	oldest node // the ring of the nodes without holders: oldest.next goes first, oldest.previous last
	idle   int  // length of the ring
}

// node is a cached block.
type node struct {
	block          block
	holders        int
	previous, next *node // nil while the block has holders
}

// newCache returns a cache for tokens.
func newCache(tokens int) *cache {
	c := &cache{free: tokens / blockTokens, nodes: map[block]*node{}}
	c.oldest.previous, c.oldest.next = &c.oldest, &c.oldest
	return c
}

// match returns the number of leading blocks of a prompt that are cached.
func (c *cache) match(prompt []block) int {
	for n, b := range prompt {
		if c.nodes[b] == nil {
			return n
		}
	}
	return len(prompt)
}

// hold takes memory for a prompt and its answer, and returns the number of leading blocks that were cached. It reports
// false, and takes nothing, if the blocks that others hold leave too little memory.
func (c *cache) hold(prompt []block, answer int) (found int, ok bool) {
	found = c.match(prompt)
	revived := 0
	for _, b := range prompt[:found] {
		if c.nodes[b].holders == 0 {
			revived++
		}
	}
	// A block after the first gap may be cached as well: the memory that it has is then taken twice for a moment.
	if need := len(prompt) - found + answer; need > c.free+c.idle-revived {
		return 0, false
	}
	for _, b := range prompt[:found] {
		c.take(c.nodes[b])
	}
	for _, b := range prompt[found:] {
		n := c.nodes[b]
		if n == nil {
			c.evict(1)
			c.free--
			n = &node{block: b}
			c.nodes[b] = n
		}
		c.take(n)
	}
	c.evict(answer)
	c.free -= answer
	return found, true
}

// release gives back what hold took. The blocks of the prompt stay cached.
func (c *cache) release(prompt []block, answer int) {
	c.free += answer
	for i := len(prompt) - 1; i >= 0; i-- {
		n := c.nodes[prompt[i]]
		if n.holders--; n.holders > 0 {
			continue
		}
		n.previous, n.next = c.oldest.previous, &c.oldest
		n.previous.next, n.next.previous = n, n
		c.idle++
	}
}

// take adds a holder to a block.
func (c *cache) take(n *node) {
	if n.next != nil {
		c.unlink(n)
	}
	n.holders++
}

// evict makes at least want blocks of memory unused.
func (c *cache) evict(want int) {
	for c.free < want {
		n := c.oldest.next
		c.unlink(n)
		delete(c.nodes, n.block)
		c.free++
	}
}

func (c *cache) unlink(n *node) {
	n.previous.next, n.next.previous = n.next, n.previous
	n.previous, n.next = nil, nil
	c.idle--
}
