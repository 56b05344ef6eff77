package sim

// Stats are a server's counters since its caches were last lost, all ranks together.
type Stats struct {
	Queries         uint64 // prompt tokens looked up in the prefix cache
	Hits            uint64 // of these, the cached ones
	PromptTokens    uint64 // prompt tokens of requests whose prefill ended
	GeneratedTokens uint64
	Iterations      uint64 // engine steps: prefills and decode steps
	IterationTokens uint64 // tokens computed in these
	Finished        uint64 // requests that got all their tokens
	Truncated       uint64 // of these, the ones that ended at a limit of their own: finish_reason "length"
	Aborted         uint64 // requests whose client left or whose server died
}

func (s *Stats) add(o Stats) {
	s.Queries += o.Queries
	s.Hits += o.Hits
	s.PromptTokens += o.PromptTokens
	s.GeneratedTokens += o.GeneratedTokens
	s.Iterations += o.Iterations
	s.IterationTokens += o.IterationTokens
	s.Finished += o.Finished
	s.Truncated += o.Truncated
	s.Aborted += o.Aborted
}

func (e *engine) snapshot() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

// usage is the share of the cache's blocks that running jobs hold, 0..1.
func (e *engine) usage() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return min(1, float64(e.held)/float64(e.cfg.CacheBlocks))
}

func (e *engine) hold(j job) int {
	blocks := 0
	for _, p := range j.prompts {
		blocks += (len(p) + j.choices*j.max + e.cfg.BlockSize - 1) / e.cfg.BlockSize
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held += blocks
	return blocks
}

func (e *engine) release(blocks int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held -= blocks
}

func (e *engine) generated(tokens int) {
	e.mu.Lock()
	defer e.changed()
	defer e.mu.Unlock()
	e.stats.GeneratedTokens += uint64(tokens)
	e.steppedLocked(tokens)
}

// steppedLocked counts one engine step.
func (e *engine) steppedLocked(tokens int) {
	e.stats.Iterations++
	e.stats.IterationTokens += uint64(tokens)
}

// finished counts the end of a job and passes its error on.
func (e *engine) finished(j job, err error) error {
	e.mu.Lock()
	defer e.changed()
	defer e.mu.Unlock()
	switch {
	case err != nil:
		e.stats.Aborted++
	case j.truncated:
		e.stats.Truncated++
		fallthrough
	default:
		e.stats.Finished++
	}
	return err
}
