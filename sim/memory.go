package sim

// memory is what a server loses with its process: the engines with their caches, and the stored responses.
type memory struct {
	engines []*engine // one for each rank
	store   *store
}

// leastLoaded is the engine for requests that name no rank; among equals it is the first one.
func (m *memory) leastLoaded() *engine {
	best, least := m.engines[0], -1
	for _, e := range m.engines {
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
