package main

import "testing"

// prompt returns n blocks, the first of them named from.
func prompt(from, n int) (blocks []block) {
	for i := range n {
		blocks = append(blocks, block(from+i))
	}
	return blocks
}

func mustHold(t *testing.T, c *cache, blocks []block, answer, want int) {
	t.Helper()
	if found, ok := c.hold(blocks, answer); !ok || found != want {
		t.Fatalf("held: %t, %d blocks were cached, want %d", ok, found, want)
	}
}

func TestPrefixIsFound(t *testing.T) {
	c := newCache(10 * blockTokens)
	mustHold(t, c, prompt(1, 4), 2, 0)
	mustHold(t, c, prompt(1, 4), 0, 4)
	c.release(prompt(1, 4), 2)
	c.release(prompt(1, 4), 0)
	for n, blocks := range map[int][]block{4: prompt(1, 6), 2: {1, 2, 9, 4}, 0: prompt(20, 3)} {
		if got := c.match(blocks); got != n {
			t.Errorf("%d of %v are cached, want %d", got, blocks, n)
		}
	}
}

// The least recently released prompt goes first, from its end.
func TestEviction(t *testing.T) {
	c := newCache(6 * blockTokens)
	for _, from := range []int{10, 20} {
		mustHold(t, c, prompt(from, 3), 0, 0)
		c.release(prompt(from, 3), 0)
	}
	mustHold(t, c, prompt(10, 1), 0, 1) // used again, but only its first block
	c.release(prompt(10, 1), 0)
	mustHold(t, c, prompt(30, 3), 0, 0)
	for from, want := range map[int]int{10: 1, 20: 2, 30: 3} {
		if got := c.match(prompt(from, 3)); got != want {
			t.Errorf("%d blocks of prompt %d are left, want %d", got, from, want)
		}
	}
}

// What requests hold stays. A request that finds too little memory takes nothing.
func TestHeldBlocksStay(t *testing.T) {
	c := newCache(6 * blockTokens)
	mustHold(t, c, prompt(1, 2), 2, 0)
	if _, ok := c.hold(prompt(10, 2), 1); ok {
		t.Error("5 blocks are held, and 3 more, of 6")
	}
	mustHold(t, c, prompt(10, 1), 1, 0)
	c.release(prompt(1, 2), 2)
	if _, ok := c.hold(prompt(1, 5), 0); ok {
		t.Error("2 blocks are held, and 5 more, of 6")
	}
	mustHold(t, c, prompt(1, 4), 0, 2)
	if c.free != 0 || c.idle != 0 {
		t.Errorf("%d blocks are free and %d idle, want none", c.free, c.idle)
	}
}
