// Package engine simulates the engine of a vLLM server, without a model: a block-LRU prefix cache whose misses cost time, a
// queue behind a bounded number of running requests, and answers whose words follow from the prompt.
//
// It knows nothing of HTTP: package sim turns requests into jobs, and tokens into answers.
//
// The counters of stats.go are tested in engine_test.go.
package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how large and how fast an engine is. It has no defaults: sim.Config has them.
type Config struct {
	// BlockSize is the number of tokens of a cache block.
	BlockSize int
	// CacheBlocks is the size of the prefix cache, in blocks.
	CacheBlocks int
	// MaxSeqs is the number of requests that run at once; the others wait.
	MaxSeqs int
	// PrefillPerToken is the time that an uncached prompt token takes.
	PrefillPerToken time.Duration
	// DecodePerToken is the time between two tokens of an answer.
	DecodePerToken time.Duration
}

// Job is a request to an engine.
type Job struct {
	Prompts   [][]Token
	Choices   int    // answers for each prompt; at least 1
	Max       int    // tokens of each answer; 0 for pooling calls, which end with the prefill
	Salt      uint64 // keeps the cache blocks of models and cache salts apart
	Truncated bool   // Max is the request's own limit, and not the place where the model would have stopped
}

// Step is one generated token.
type Step struct {
	Choice int // prompt number * Job.Choices + choice number
	Token  Token
	Last   bool // the last token of its choice
}

// Tally counts the tokens of a job as vLLM's usage does.
type Tally struct {
	Prompt     int
	Cached     int // prompt tokens that were found in the prefix cache
	Created    int // prompt tokens in full blocks that were not cached before
	Completion int
}

// Engine is one KV cache and the jobs that run on it. Its methods may be called from any goroutine.
type Engine struct {
	cfg     Config
	changed func() // called without a lock after each change of the load or the counters
	queue   queue
	held    atomic.Int64 // blocks of running jobs

	mu    sync.Mutex
	cache *cache // guarded by mu
	stats Stats  // guarded by mu
}

// New makes an engine. It calls changed without a lock after each change of its load or its counters.
func New(cfg Config, changed func()) *Engine {
	return &Engine{
		cfg: cfg, changed: changed, cache: newCache(cfg.CacheBlocks), queue: queue{slots: make(chan struct{}, cfg.MaxSeqs), changed: changed},
	}
}

// Run waits in the queue, computes the uncached part of the prompts, and calls emit for each token when it is due. An error
// is ctx's or emit's, and ends the job. The blocks that were computed until then stay cached.
func (e *Engine) Run(ctx context.Context, j Job, emit func(Step) error) (Tally, error) {
	if err := e.queue.enter(ctx); err != nil {
		return Tally{}, e.countEnd(j, err)
	}
	defer e.queue.leave()
	held := e.blocksOf(j)
	e.held.Add(held)
	defer e.held.Add(-held)
	t, err := e.prefill(ctx, j)
	if err != nil {
		return t, e.countEnd(j, err)
	}
	t.Completion, err = e.decode(ctx, j, emit)
	return t, e.countEnd(j, err)
}

// prefill takes the time of the uncached prompt tokens: TTFT = queue + uncached tokens * time per token.
func (e *Engine) prefill(ctx context.Context, j Job) (Tally, error) {
	t := e.lookUp(j)
	uncached := t.Prompt - t.Cached
	if err := Pause(ctx, time.Duration(uncached)*e.cfg.PrefillPerToken); err != nil {
		return t, err
	}
	e.mu.Lock()
	defer e.changed()
	defer e.mu.Unlock()
	for _, p := range j.Prompts {
		e.cache.keep(blockChain(j.Salt, p, e.cfg.BlockSize))
	}
	e.stats.PromptTokens += uint64(t.Prompt)
	e.countStepLocked(uncached)
	return t, nil
}

// lookUp counts the cached tokens of the prompts. vLLM always computes the last token of a prompt, and caches full blocks
// only: of n tokens at most (n-1)/block*block are cached.
func (e *Engine) lookUp(j Job) Tally {
	e.mu.Lock()
	defer e.mu.Unlock()
	var t Tally
	size := e.cfg.BlockSize
	for _, p := range j.Prompts {
		chain := blockChain(j.Salt, p, size)
		hit := e.cache.match(chain)
		e.stats.Evicted += uint64(e.cache.wasEvicted(chain[hit:]) * size)
		e.cache.keep(chain[:hit])
		cached := min(hit, max(len(p)-1, 0)/size) * size
		t.Prompt += len(p)
		t.Cached += cached
		t.Created += len(p)/size*size - cached
	}
	e.stats.Queries += uint64(t.Prompt)
	e.stats.Hits += uint64(t.Cached)
	return t
}

// decode emits the answers token by token. The first token is due at once after the prefill, each further one a decode time
// later.
func (e *Engine) decode(ctx context.Context, j Job, emit func(Step) error) (n int, err error) {
	out := make([][]Token, len(j.Prompts)*j.Choices)
	seeds := j.seeds()
	var delay time.Duration
	for i := range j.Max {
		if err = Pause(ctx, delay); err != nil {
			break
		}
		delay = e.cfg.DecodePerToken
		for c := range out {
			out[c] = append(out[c], word(seeds[c], i))
		}
		e.countGenerated(len(out))
		last := i == j.Max-1
		if last { // before the client can know the whole answer and send it back
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

func emitAll(out [][]Token, last bool, emit func(Step) error) error {
	for c, answer := range out {
		if err := emit(Step{Choice: c, Token: answer[len(answer)-1], Last: last}); err != nil {
			return err
		}
	}
	return nil
}

// keepAnswers caches the full blocks of prompt and answer. The last token is in no block, because it was never an input.
func (e *Engine) keepAnswers(j Job, out [][]Token) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c, answer := range out {
		if len(answer) < 2 {
			continue
		}
		p := j.Prompts[c/j.Choices]
		whole := append(p[:len(p):len(p)], answer[:len(answer)-1]...)
		e.cache.keep(blockChain(j.Salt, whole, e.cfg.BlockSize))
	}
}

// seeds returns the seed of each answer. A seed follows from the prompt alone, so that equal prompts get equal text.
func (j Job) seeds() []uint64 {
	var seeds []uint64
	for _, p := range j.Prompts {
		h := Hash(0, p)
		for n := range j.Choices {
			seeds = append(seeds, Mix(h, uint64(n)))
		}
	}
	return seeds
}

// Answer returns the text of the given number of tokens that every engine answers to a prompt, in its first choice.
func Answer(prompt []Token, tokens int) string {
	seed := Job{Prompts: [][]Token{prompt}, Choices: 1}.seeds()[0]
	out := make([]Token, tokens)
	for i := range out {
		out[i] = word(seed, i)
	}
	return Detokenize(out)
}

// Pause waits for d, or returns ctx's error. It checks ctx even when d is 0, so that a job without timing can be aborted too.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
