package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"tether/ring"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
)

const (
	// mapUpstreams is the number of upstreams of the map's row, mapReaders the number of goroutines that read it at the same time, and
	// lookups the number of readings of each.
	mapUpstreams = 16
	mapReaders   = 8
	lookups      = 200_000
)

// measureMap fills a session map of n pins, as large as it must be for them, and measures it from inside: it has no peer.
func measureMap(ctx context.Context, n int) (figures, error) {
	slots := make([]ring.Slot, mapUpstreams)
	for i := range slots {
		slots[i] = ring.Slot{Name: fmt.Sprintf("up-%d", i), Number: i, Weight: ring.FullWeight}
	}
	r, err := ring.New(slots)
	if err != nil {
		return nil, err
	}
	before := heap()
	m, now := pins.NewMap(n, time.Hour), time.Now()
	for k := range n {
		if k%100_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		m.Bind(mapKey(uint64(k)), upstream.Ref(upstream.MaxUpstreams+k%mapUpstreams), false, now)
	}
	for pins.UseHugePages(m, 1) { // as Map.Run does, after some time
	}
	size := heap() - before
	began := time.Now()
	runtime.GC()
	gc := time.Since(began)
	elapsed, busy, err := lookUp(m, r, n, now)
	runtime.KeepAlive(m)
	return figures{
		sessions: float64(n), perPin: float64(size) / float64(n), collection: float64(gc) / float64(time.Millisecond),
		lookup: elapsed, lookupCPU: busy,
	}, err
}

// lookUp lets many goroutines take the first place in the ring and look the session up in the map. It returns the nanoseconds that pass for each
// such pair, as parallel benchmarks of Go count them, and the nanoseconds of CPU that one takes: on two free cores twice as many.
func lookUp(m *pins.Map, r *ring.Ring, n int, now time.Time) (elapsed, busy float64, err error) {
	before, err := ownUsage()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	var wg sync.WaitGroup
	for g := range mapReaders {
		wg.Go(func() {
			source := rand.New(rand.NewPCG(uint64(g), 1))
			for range lookups {
				k := mapKey(source.Uint64N(uint64(n)))
				w := r.Walk(k.Ring())
				w.Next(func(int) bool { return true })
				m.Get(k, now)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	after, err := ownUsage()
	return float64(took) / (mapReaders * lookups), float64(after.Sub(before).CPU) / (mapReaders * lookups), err
}

// mapKey returns the key of a session: the numbers are spread as hashes are.
func mapKey(n uint64) identity.Key {
	return identity.Key{Hi: n*0x9e3779b97f4a7c15 + 1, Lo: (n + 7) * 0xbf58476d1ce4e5b9}
}

// heap returns the bytes of the heap after a collection.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
