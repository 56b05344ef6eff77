package sim

import "sync/atomic"

// memory is what a server loses with its process: the engines with their caches, and the stored responses.
type memory struct {
	engines []*engine // one for each rank
	store   *store
	turn    atomic.Uint32 // requests that named no rank
}

// leastLoaded is the engine for requests that name no rank; equals take turns.
func (m *memory) leastLoaded() (best *engine) {
	least, start := -1, int(m.turn.Add(1)-1)
	for i := range m.engines {
		e := m.engines[(start+i)%len(m.engines)]
		running, waiting := e.queue.lengths()
		if n := running + waiting; least < 0 || n < least {
			best, least = e, n
		}
	}
	return best
}

func (m *memory) stats() Stats {
	var sum Stats
	for _, e := range m.engines {
		sum.add(e.snapshot())
	}
	return sum
}
