package warm

import (
	"testing"
	"time"
)

func TestLasting(t *testing.T) {
	for name, c := range map[string]struct {
		add   func(*gaps)
		least time.Duration
		most  time.Duration
	}{
		"none":           {func(*gaps) {}, greatestLasting, greatestLasting},
		"too few":        {func(g *gaps) { repeat(g, knownGaps-1, time.Second) }, greatestLasting, greatestLasting},
		"short":          {func(g *gaps) { repeat(g, 100, 3*time.Second) }, leastLasting, leastLasting},
		"a minute":       {func(g *gaps) { repeat(g, 100, time.Minute) }, 2 * time.Minute, 150 * time.Second},
		"an hour":        {func(g *gaps) { repeat(g, 100, time.Hour) }, greatestLasting, greatestLasting},
		"a few long":     {func(g *gaps) { repeat(g, 97, 40*time.Second); repeat(g, 3, time.Hour) }, 80 * time.Second, 100 * time.Second},
		"more long ones": {func(g *gaps) { repeat(g, 90, 40*time.Second); repeat(g, 10, 2*time.Minute) }, 4 * time.Minute, 5 * time.Minute},
		"overlapping":    {func(g *gaps) { repeat(g, 1000, -time.Second) }, greatestLasting, greatestLasting},
		"old ones fade":  {func(g *gaps) { repeat(g, 10_000, 5*time.Minute); repeat(g, 12_000, 20*time.Second) }, 40 * time.Second, 50 * time.Second},
	} {
		var g gaps
		c.add(&g)
		if got := g.lasting(); got < c.least || got > c.most {
			t.Errorf("%s: %v, want %v..%v", name, got, c.least, c.most)
		}
	}
}

func repeat(g *gaps, n int, gap time.Duration) {
	for range n {
		g.add(gap)
	}
}
