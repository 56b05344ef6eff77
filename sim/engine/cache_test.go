package engine

import "testing"

func TestLeastRecentBlockIsEvicted(t *testing.T) {
	c := newCache(3)
	c.keep([]uint64{1, 2})
	c.keep([]uint64{3})
	c.keep([]uint64{1})
	c.keep([]uint64{4})
	for h, want := range map[uint64]int{1: 1, 2: 0, 3: 1, 4: 1} {
		if got := c.match([]uint64{h}); got != want {
			t.Errorf("block %d: match %d, want %d", h, got, want)
		}
	}
}

func TestEndOfAPrefixIsEvictedFirst(t *testing.T) {
	c := newCache(4)
	chain := []uint64{1, 2, 3, 4, 5, 6}
	c.keep(chain)
	if got := c.match(chain); got != 4 {
		t.Errorf("match %d of a chain longer than the cache, want its first 4 blocks", got)
	}
	c.keep([]uint64{9})
	if got := c.match(chain); got != 3 {
		t.Errorf("match %d after another block was added, want 3", got)
	}
}

// The cache knows which blocks it had and has no longer. It remembers a bounded number of them.
func TestEvictedBlocksAreKnown(t *testing.T) {
	c := newCache(2)
	c.keep([]uint64{1, 2})
	c.keep([]uint64{3})
	if got := c.wasEvicted([]uint64{1, 2, 3, 4}); got != 1 {
		t.Errorf("%d blocks were evicted, want 1", got)
	}
	c.keep([]uint64{2})
	if got := c.wasEvicted([]uint64{2}); got != 0 {
		t.Error("a block that is there again counts as evicted")
	}
	for h := uint64(10); h < 10_000; h++ {
		c.keep([]uint64{h})
	}
	if n := len(c.evicted[0]) + len(c.evicted[1]); n > 2*maxEvicted*c.capacity {
		t.Errorf("%d evicted blocks are remembered", n)
	}
	if got := c.wasEvicted([]uint64{9_997, 9_990}); got != 2 {
		t.Errorf("%d of two late blocks are known", got)
	}
}
