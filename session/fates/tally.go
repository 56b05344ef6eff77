package fates

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Counts are tokens by what became of them.
type Counts struct {
	// Tokens are by Fate.
	Tokens [Count]int64
	// Moved are the moved tokens, by Reason.
	Moved [ReasonCount]int64
	// Saved is the time that the servers would have needed for the Hit tokens, by the measured rate of each model. Tokens of models without
	// a measured rate do not count.
	Saved time.Duration
}

// add adds the tokens of a split.
func (c *Counts) add(s *Split, saved time.Duration) {
	c.Tokens[Hit] += s.Hit
	c.Tokens[New] += s.New
	if s.Lost > 0 {
		c.Tokens[s.Cause] += s.Lost
	}
	if s.Lost > 0 && s.Cause == Moved {
		c.Moved[s.Reason] += s.Lost
	}
	c.Saved += saved
}

// Plus returns the sum.
func (c Counts) Plus(o *Counts) Counts {
	for f, n := range o.Tokens {
		c.Tokens[f] += n
	}
	for r, n := range o.Moved {
		c.Moved[r] += n
	}
	c.Saved += o.Saved
	return c
}

// minus returns the difference.
func (c Counts) minus(o *Counts) Counts {
	for f, n := range o.Tokens {
		c.Tokens[f] -= n
	}
	for r, n := range o.Moved {
		c.Moved[r] -= n
	}
	c.Saved -= o.Saved
	return c
}

// Reported is the number of tokens in prompts whose answers say how many were cached. Without any, nothing is known of the caches, and a
// share of hits must not be shown.
func (c *Counts) Reported() (n int64) {
	for _, tokens := range c.Tokens[:Unknown] {
		n += tokens
	}
	return n
}

// Tally adds up the fates of prompts, by upstream. It is safe for concurrent use. NewTally makes one.
type Tally struct {
	mu  sync.Mutex
	all map[string]*account
}

// account has the counts of one upstream. What a prompt changes is in a few cache lines side by side, because those of hundreds of upstreams
// do not stay in the caches.
type account struct {
	newest int64 // number of the last slot
	total  Counts
	before [slots]Counts // the totals at the beginning of each slot
}

const (
	// slot is the width of a slot of the last minute.
	slot = 5 * time.Second
	// slots is the number of slots of the last minute.
	slots = int64(time.Minute / slot)
)

// NewTally returns a tally of no prompts.
func NewTally() *Tally { return &Tally{all: map[string]*account{}} }

// Add adds a prompt that the upstream computed at now. saved is Counts.Saved of its hits.
func (t *Tally) Add(upstream string, s *Split, saved time.Duration, now time.Time) {
	if *s == (Split{}) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.all[upstream]
	if a == nil {
		a = &account{}
		t.all[upstream] = a
	}
	a.advance(now)
	a.total.add(s, saved)
}

// advance begins the slots between the newest one and that of now.
func (a *account) advance(now time.Time) {
	to := now.UnixNano() / int64(slot)
	a.newest = max(a.newest, to-slots)
	for a.newest < to {
		a.newest++
		a.before[a.newest%slots] = a.total
	}
}

// minute is what was counted in the last slots.
func (a *account) minute() Counts {
	oldest := (a.newest + 1) % slots
	return a.total.minus(&a.before[oldest])
}

// Keep drops the upstreams for which stays returns false.
func (t *Tally) Keep(stays func(upstream string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.all, func(name string, _ *account) bool { return !stays(name) })
}

// Each calls f with each upstream that has computed prompts, in the order of their names: with all that was counted since the start, and
// with the last minute, which is 55 to 60 s. f must not call the tally.
func (t *Tally) Each(now time.Time, f func(upstream string, total, minute Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(t.all)) {
		a := t.all[name]
		a.advance(now)
		f(name, a.total, a.minute())
	}
}
