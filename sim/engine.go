package sim

import (
	"context"
	"sync"
	"time"
)

// job is what an engine is asked for.
type job struct {
	prompts [][]token
	choices int    // answers for each prompt; at least 1
	max     int    // tokens for each answer; 0 for pooling calls, which end with the prefill
	salt    uint64 // keeps the cache blocks of models and cache salts apart
	// truncated says that max is the request's own limit, and not where the model would have stopped.
	truncated bool
}

// step is one generated token.
type step struct {
	choice int // prompt number * job.choices + choice number
	token  token
	last   bool
}

// tally counts a job's tokens as vLLM's usage does.
type tally struct {
	prompt     int
	cached     int // of the prompt: found in the prefix cache
	created    int // of the prompt: in full blocks that were not cached before
	completion int
}

// engine is one KV cache and what runs on it.
type engine struct {
	cfg     Config
	changed func() // called after each change of the load or the counters, without a lock
	queue   queue

	mu    sync.Mutex
	cache *cache // guarded by mu
	held  int    // guarded by mu; blocks of running jobs
	stats Stats  // guarded by mu
}

func newEngine(cfg Config, changed func()) *engine {
	return &engine{
		cfg: cfg, changed: changed, cache: newCache(cfg.CacheBlocks), queue: queue{limit: cfg.MaxSeqs, changed: changed},
	}
}

// run waits for a place, computes what the cache does not hold of the prompts, and calls emit for each token when it is
// due. An error is ctx's or emit's, and ends the job: what was computed until then stays cached.
func (e *engine) run(ctx context.Context, j job, emit func(step) error) (tally, error) {
	if err := e.queue.enter(ctx); err != nil {
		return tally{}, e.finished(j, err)
	}
	defer e.queue.leave()
	held := e.hold(j)
	defer e.release(held)
	t, err := e.prefill(ctx, j)
	if err != nil {
		return t, e.finished(j, err)
	}
	t.completion, err = e.decode(ctx, j, emit)
	return t, e.finished(j, err)
}

// prefill takes the time of the uncached prompt tokens: TTFT = queue + uncached tokens * time per token.
func (e *engine) prefill(ctx context.Context, j job) (tally, error) {
	t := e.lookUp(j)
	uncached := t.prompt - t.cached
	if err := pause(ctx, time.Duration(uncached)*e.cfg.PrefillPerToken); err != nil {
		return t, err
	}
	e.mu.Lock()
	defer e.changed()
	defer e.mu.Unlock()
	for _, p := range j.prompts {
		e.cache.keep(blockChain(j.salt, p, e.cfg.BlockSize))
	}
	e.stats.PromptTokens += uint64(t.prompt)
	e.steppedLocked(uncached)
	return t, nil
}

// lookUp finds what is cached of the prompts. vLLM computes at least the last token of a prompt anew, and caches full
// blocks only: of n tokens at most (n-1)/block*block are ever cached.
func (e *engine) lookUp(j job) tally {
	e.mu.Lock()
	defer e.mu.Unlock()
	var t tally
	size := e.cfg.BlockSize
	for _, p := range j.prompts {
		chain := blockChain(j.salt, p, size)
		hit := e.cache.match(chain)
		e.cache.keep(chain[:hit])
		cached := min(hit, max(len(p)-1, 0)/size) * size
		t.prompt += len(p)
		t.cached += cached
		t.created += len(p)/size*size - cached
	}
	e.stats.Queries += uint64(t.prompt)
	e.stats.Hits += uint64(t.cached)
	return t
}

// decode emits the answers token by token. The first comes with the prefill, each further one a decode time later.
func (e *engine) decode(ctx context.Context, j job, emit func(step) error) (n int, err error) {
	out := make([][]token, len(j.prompts)*j.choices)
	seeds := j.seeds()
	for i := range j.max {
		if err = pause(ctx, e.decodeTime(i)); err != nil {
			break
		}
		for c := range out {
			out[c] = append(out[c], word(seeds[c], i))
		}
		e.generated(len(out))
		last := i == j.max-1
		if last { // before the client can know the answer and send it back
			e.keepAnswers(j, out)
		}
		if err = emitAll(out, last, emit); err != nil {
			break
		}
		n += len(out)
	}
	if err != nil {
		e.keepAnswers(j, out)
	}
	return n, err
}

func emitAll(out [][]token, last bool, emit func(step) error) error {
	for c, answer := range out {
		if err := emit(step{choice: c, token: answer[len(answer)-1], last: last}); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) decodeTime(i int) time.Duration {
	if i == 0 {
		return 0
	}
	return e.cfg.DecodePerToken
}

// keepAnswers caches the full blocks of prompt and answer. The last token was never an input, so it is in no block.
func (e *engine) keepAnswers(j job, out [][]token) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c, answer := range out {
		if len(answer) < 2 {
			continue
		}
		p := j.prompts[c/j.choices]
		whole := append(p[:len(p):len(p)], answer[:len(answer)-1]...)
		e.cache.keep(blockChain(j.salt, whole, e.cfg.BlockSize))
	}
}

// seeds gives each answer its own, from the prompt alone: equal prompts get equal text.
func (j job) seeds() []uint64 {
	var seeds []uint64
	for _, p := range j.prompts {
		h := hashTokens(0, p)
		for n := range j.choices {
			seeds = append(seeds, mix(h, uint64(n)))
		}
	}
	return seeds
}

// pause waits for d. It looks at ctx even when d is 0, so that a job without timing can be aborted too.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
