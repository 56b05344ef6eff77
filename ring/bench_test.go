package ring

import (
	"fmt"
	"testing"
)

// BenchmarkHome places one key.
func BenchmarkHome(b *testing.B) {
	for _, c := range []struct{ usable, of int }{{16, 16}, {1, 16}, {2, 512}} {
		b.Run(fmt.Sprintf("%d of %d", c.usable, c.of), func(b *testing.B) {
			r := mustNew(b, pods(c.of))
			usable := func(i int) bool { return i >= c.of-c.usable }
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				if r.first(key(k), usable) < 0 {
					b.Fatal("no slot")
				}
			}
		})
	}
	b.Run("512 of 512 by rendezvous", func(b *testing.B) {
		r := mustNew(b, unnumbered(pods(512)))
		b.ReportAllocs()
		for k := 0; b.Loop(); k++ {
			r.first(key(k), all)
		}
	})
}
