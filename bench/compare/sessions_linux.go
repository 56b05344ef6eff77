package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"tether/ring"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
)

const (
	// mapUpstreams is the number of upstreams of the map's row, mapReaders the number of goroutines that read it at the same time,
	// lookups the number of readings of each, and mapRounds how often they all read: the median counts.
	mapUpstreams = 16
	mapReaders   = 8
	lookups      = 200_000
	mapRounds    = 5
)

// measureMapApart is measureMap in a process of its own. In this one, the threads of load and upstreams keep processors of Go's scheduler, so it has
// more of them than there are cores: a thread that the kernel interrupts while it holds a lock would let others wait.
func measureMapApart(ctx context.Context, n int) (f figures, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, program, fmt.Sprintf("-%s=%d", mapFlag, n)).Output()
	if err != nil {
		return nil, fmt.Errorf("measure a session map: %w", err)
	}
	err = gob.NewDecoder(bytes.NewReader(out)).Decode(&f)
	return f, err
}

// printMap prints the figures of measureMap for measureMapApart, and returns the exit code.
func printMap(ctx context.Context, n int, out, errors io.Writer) (code int) {
	f, err := measureMap(ctx, n)
	if err == nil {
		err = gob.NewEncoder(out).Encode(f)
	}
	if err != nil {
		fmt.Fprintln(errors, err)
		return 1
	}
	return 0
}

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
	var elapsed, busy []float64
	for range mapRounds {
		e, b, err := lookUp(m, r, n, now)
		if err != nil {
			return nil, err
		}
		elapsed, busy = append(elapsed, e), append(busy, b)
	}
	runtime.KeepAlive(m)
	e, _ := spreadOf(elapsed)
	b, _ := spreadOf(busy)
	return figures{
		sessions: float64(n), perPin: float64(size) / float64(n), collection: float64(gc) / float64(time.Millisecond),
		lookup: e.median, lookupCPU: b.median,
	}, nil
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
