package main

import (
	"slices"
	"time"
)

// hardware is what a server can do. A step computes prompt tokens, and one token of every answer that is being written.
type hardware struct {
	rate      float64       // prompt tokens a second
	chunk     int           // tokens that a step computes at most
	leastStep time.Duration // how long a step takes at least: it reads all weights of the model
	perAnswer time.Duration // how much longer a step takes for each answer: it reads the cache of the answer's request
	capacity  int           // tokens in the KV cache
}

// engine is a model of a vLLM server: requests wait in one queue, first come first served; prompts are computed in chunks,
// and a step carries a chunk beside the answers that are being written, which slows them down. A prompt whose beginning is
// cached is computed from there on.
//
// Several equal steps are simulated at once: those until the next prompt is computed or the next answer is written.
type engine struct {
	hardware
	cache     *cache
	slowness  float64    // factor on the time of a step
	frozen    bool       // begins no step
	waiting   []*request // for their first token; the first of them may be computed in part
	answering []*request
	computed  int // prompt tokens so far

	steps int
	each  time.Duration // time of one step
	from  time.Duration // when the first step began
	parts []part        // of prompts, in each step
}

// part is what a step computes of a prompt.
type part struct {
	*request
	tokens int
}

func newEngine(h hardware) *engine {
	return &engine{hardware: h, cache: newCache(h.capacity), slowness: 1}
}

// plan begins the next steps at now. It returns when they end; ok is false if there is nothing to do.
func (e *engine) plan(now time.Duration) (end time.Duration, ok bool) {
	e.steps, e.parts, e.from = 0, e.parts[:0], now
	if e.frozen {
		return 0, false
	}
	used := e.fill(max(e.chunk-len(e.answering), e.chunk/4))
	if used == 0 && len(e.answering) == 0 {
		return 0, false
	}
	e.steps = 1
	if used == 0 || len(e.parts) == 1 && e.parts[0].uncomputed > used {
		e.steps = e.alike(used)
	}
	compute := time.Duration(float64(used) / e.rate * float64(time.Second))
	step := max(e.leastStep, compute) + time.Duration(len(e.answering))*e.perAnswer
	e.each = time.Duration(float64(step) * e.slowness)
	return e.end(), true
}

// fill chooses the parts of prompts for a step of at most budget tokens, and returns their sum.
func (e *engine) fill(budget int) (used int) {
	for _, r := range e.waiting {
		if used == budget || !e.admit(r) {
			break
		}
		tokens := min(r.uncomputed, budget-used)
		e.parts = append(e.parts, part{r, tokens})
		used += tokens
	}
	return used
}

// admit reports whether the request has its memory, and takes the memory if it is there.
func (e *engine) admit(r *request) bool {
	if r.admitted {
		return true
	}
	found, ok := e.cache.hold(r.blocks, blocksOf(r.turn.answer))
	if !ok {
		return false
	}
	r.admitted = true
	r.found = min(found*blockTokens, r.turn.kept, r.turn.prompt-1)
	r.uncomputed = r.turn.prompt - r.found
	return true
}

// alike returns how many steps with used tokens of one prompt, or with answers alone, follow each other.
func (e *engine) alike(used int) int {
	n := -1
	if used > 0 {
		n = e.parts[0].uncomputed / used
	}
	for _, r := range e.answering {
		if n < 0 || r.unwritten < n {
			n = r.unwritten
		}
	}
	return n
}

func (e *engine) end() time.Duration { return e.from + time.Duration(e.steps)*e.each }

// add puts a request into the queue. It reports whether the steps in progress end earlier for it: if only answers are being
// written, its prompt joins them at the next step.
func (e *engine) add(r *request, now time.Duration) (earlier bool) {
	e.waiting = append(e.waiting, r)
	return len(e.waiting) == 1 && e.cut(now)
}

// cut leaves out the steps that have not begun, and reports whether there were any.
func (e *engine) cut(now time.Duration) bool {
	if e.steps == 0 {
		return false
	}
	begun := int((now-e.from)/e.each) + 1
	if begun >= e.steps {
		return false
	}
	e.steps = begun
	return true
}

// finish ends the steps. It returns the requests whose first token is there, and those whose answer is written.
func (e *engine) finish() (first, done []*request) {
	write := func(r *request) bool {
		if r.unwritten > 0 {
			return false
		}
		done = append(done, r)
		e.cache.release(r.blocks, blocksOf(r.turn.answer))
		return true
	}
	for _, r := range e.answering {
		r.unwritten -= e.steps
	}
	e.answering = slices.DeleteFunc(e.answering, write)
	for _, p := range e.parts {
		p.uncomputed -= p.tokens * e.steps
		e.computed += p.tokens * e.steps
		if p.uncomputed > 0 {
			break
		}
		first = append(first, p.request)
		e.waiting = e.waiting[1:]
		if p.unwritten = p.turn.answer - 1; !write(p.request) {
			e.answering = append(e.answering, p.request)
		}
	}
	e.steps = 0
	return first, done
}

// crash forgets the cache and returns the requests that are lost.
func (e *engine) crash() (lost []*request) {
	lost = append(e.answering, e.waiting...)
	e.answering, e.waiting, e.steps, e.cache = nil, nil, 0, newCache(e.capacity)
	return lost
}
