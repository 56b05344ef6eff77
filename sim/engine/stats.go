package engine

// Stats are the counters of an engine since it was made, or the sums over several engines.
type Stats struct {
	Queries         uint64 // prompt tokens looked up in the prefix cache
	Hits            uint64 // prompt tokens found in the prefix cache
	Evicted         uint64 // prompt tokens that were not found, and that the prefix cache had evicted
	PromptTokens    uint64 // prompt tokens of requests whose prefill ended
	GeneratedTokens uint64
	Iterations      uint64 // engine steps: prefills and decode steps
	IterationTokens uint64 // tokens computed in engine steps
	Finished        uint64 // requests that got all their tokens
	Truncated       uint64 // finished requests that ended at a limit of their own: finish_reason "length"
	Aborted         uint64 // requests whose client left or whose server died
}

func (s *Stats) add(o Stats) {
	s.Queries += o.Queries
	s.Hits += o.Hits
	s.Evicted += o.Evicted
	s.PromptTokens += o.PromptTokens
	s.GeneratedTokens += o.GeneratedTokens
	s.Iterations += o.Iterations
	s.IterationTokens += o.IterationTokens
	s.Finished += o.Finished
	s.Truncated += o.Truncated
	s.Aborted += o.Aborted
}

// Stats returns the counters of the engine.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

// Load returns the number of requests that run, and the number of those that wait.
func (e *Engine) Load() (running, waiting int) {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	return e.queue.running, e.queue.waiting
}

// Usage returns the share of the cache's blocks that running jobs hold, 0..1.
func (e *Engine) Usage() float64 {
	return min(1, float64(e.held.Load())/float64(e.cfg.CacheBlocks))
}

// blocksOf returns the number of blocks that a job needs until it ends.
func (e *Engine) blocksOf(j Job) (blocks int64) {
	for _, p := range j.Prompts {
		blocks += int64((len(p) + j.Choices*j.Max + e.cfg.BlockSize - 1) / e.cfg.BlockSize)
	}
	return blocks
}

// countGenerated counts the tokens of one decode step.
func (e *Engine) countGenerated(tokens int) {
	e.mu.Lock()
	defer e.changed()
	defer e.mu.Unlock()
	e.stats.GeneratedTokens += uint64(tokens)
	e.countStepLocked(tokens)
}

func (e *Engine) countStepLocked(tokens int) {
	e.stats.Iterations++
	e.stats.IterationTokens += uint64(tokens)
}

// countEnd counts the end of a job, and returns the job's error unchanged.
func (e *Engine) countEnd(j Job, err error) error {
	e.mu.Lock()
	defer e.changed()
	defer e.mu.Unlock()
	if err != nil {
		e.stats.Aborted++
		return err
	}
	e.stats.Finished++
	if j.Truncated {
		e.stats.Truncated++
	}
	return nil
}
