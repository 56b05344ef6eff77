package engine

import "sync/atomic"

// Ranks are the engines behind one port (--data-parallel-size). Each has a cache of its own.
type Ranks struct {
	engines []*Engine
	next    atomic.Uint32 // where the next search for the least loaded engine begins
}

// NewRanks makes n engines. They call changed without a lock after each change of their load or their counters.
func NewRanks(n int, cfg Config, changed func()) *Ranks {
	r := &Ranks{}
	for range n {
		r.engines = append(r.engines, New(cfg, changed))
	}
	return r
}

// Engines lists the engines by rank. The caller must not change the list.
func (r *Ranks) Engines() []*Engine { return r.engines }

// LeastLoaded returns the engine with the fewest requests. Engines with equally few take turns.
func (r *Ranks) LeastLoaded() (best *Engine) {
	least, start := -1, int(r.next.Add(1)-1)
	for i := range r.engines {
		e := r.engines[(start+i)%len(r.engines)]
		running, waiting := e.Load()
		if n := running + waiting; least < 0 || n < least {
			best, least = e, n
		}
	}
	return best
}

// Load returns the numbers of running and waiting requests of all engines.
func (r *Ranks) Load() (running, waiting int) {
	for _, e := range r.engines {
		n, m := e.Load()
		running, waiting = running+n, waiting+m
	}
	return running, waiting
}

// Stats returns the sums of all engines' counters.
func (r *Ranks) Stats() (sum Stats) {
	for _, e := range r.engines {
		sum.add(e.Stats())
	}
	return sum
}
