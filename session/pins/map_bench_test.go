package pins

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"tether/session/identity"
)

func filled(b testing.TB, n int) *Map {
	b.Helper()
	m := NewMap(n, time.Hour)
	now := time.Now()
	for k := range n {
		m.Bind(testKey(uint64(k)), ref(k%8, 1), false, now)
	}
	for UseHugePages(m, hugeBatch) { // as Run does
	}
	return m
}

// BenchmarkMap measures Get and Bind in maps of 1 and 10 million entries, from 1, 2 and 8 goroutines, the bytes of an
// entry, and the time of a full garbage collection.
func BenchmarkMap(b *testing.B) {
	for _, n := range []int{1_000_000, 10_000_000} {
		m := filled(b, n)
		for _, op := range []struct {
			name string
			do   func(k identity.Key, now time.Time)
		}{
			{"get", func(k identity.Key, now time.Time) { m.Get(k, now) }},
			{"bind", func(k identity.Key, now time.Time) { m.Bind(k, ref(1, 1), false, now) }},
		} {
			for _, goroutines := range []int{1, 2, 8} {
				b.Run(fmt.Sprintf("%s/entries=%d/goroutines=%d", op.name, n, goroutines), func(b *testing.B) {
					b.ReportAllocs()
					now := time.Now()
					span := uint64(n)
					if op.name == "bind" {
						span = 2 * uint64(n) // half of the keys are new, and evict others
					}
					var wg sync.WaitGroup
					for g := range goroutines {
						wg.Go(func() {
							r := rand.New(rand.NewPCG(uint64(g), 1))
							for range b.N / goroutines {
								op.do(testKey(r.Uint64N(span)), now)
							}
						})
					}
					wg.Wait()
				})
			}
		}
		b.Run(fmt.Sprintf("gc/entries=%d", n), func(b *testing.B) {
			for b.Loop() {
				runtime.GC()
			}
			b.ReportMetric(float64(bytes(m))/float64(n), "bytes/entry")
		})
		runtime.KeepAlive(m)
	}
}
