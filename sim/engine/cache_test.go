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
