package fates

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Counts are tokens by what became of them. What each prompt changes comes first.
type Counts struct {
	// Saved is the time that the servers would have needed for the Hit tokens, by the measured rate of each model. Tokens of models without
	// a measured rate do not count.
	Saved time.Duration
	// Expected are the tokens that the upstream itself should have had in its cache, Found those of the same prompts that it had. They may be
	// more than expected.
	Expected, Found int64
	// Tokens are by Fate.
	Tokens [Count]int64
	// Moved are the moved tokens, by Reason.
	Moved [ReasonCount]int64
}

// add adds a prompt. See Account.Add.
func (c *Counts) add(s *Split, saved time.Duration, expected, found int64) {
	c.Tokens[Hit] += s.Hit
	c.Tokens[New] += s.New
	if s.Lost > 0 {
		c.Tokens[s.Cause] += s.Lost
	}
	if s.Lost > 0 && s.Cause == Moved {
		c.Moved[s.Reason] += s.Lost
	}
	c.Saved += saved
	c.Expected += expected
	c.Found += found
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
	c.Expected += o.Expected
	c.Found += o.Found
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
	c.Expected -= o.Expected
	c.Found -= o.Found
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
	all map[string]*Account
}

// Account has the counts of one upstream. It is safe for concurrent use. Tally.Of makes one. With hundreds of upstreams, accounts are
// seldom in the processor's caches. So a common prompt changes nothing but the first cache line of one, and accounts are small.
type Account struct {
	mu     sync.Mutex
	newest int64 // number of the last slot
	total  Counts
	before *[slots]Counts // the totals at the beginning of each slot
	_      [8]byte        // fills the last cache line
}

const (
	// slot is the width of a slot of the last minute.
	slot = 5 * time.Second
	// slots is the number of slots of the last minute.
	slots = int64(time.Minute / slot)
)

// NewTally returns a tally of no prompts.
func NewTally() *Tally { return &Tally{all: map[string]*Account{}} }

// Of returns the account of an upstream. It is the same one until Keep drops it. What is added to a dropped account counts nowhere.
func (t *Tally) Of(upstream string) *Account {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.all[upstream]
	if a == nil {
		a = &Account{before: &[slots]Counts{}}
		t.all[upstream] = a
	}
	return a
}

// Add adds a prompt that the upstream computed at now. saved, expected and found are what the prompt adds to the Counts of these names: unlike
// s.Expected, expected is what this upstream should have had.
func (a *Account) Add(s *Split, saved time.Duration, expected, found int64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.advance(now)
	a.total.add(s, saved, expected, found)
}

// advance begins the slots between the newest one and that of now.
func (a *Account) advance(now time.Time) {
	to := now.UnixNano() / int64(slot)
	a.newest = max(a.newest, to-slots)
	for a.newest < to {
		a.newest++
		a.before[a.newest%slots] = a.total
	}
}

// read returns all that was counted, and what was counted in the last slots.
func (a *Account) read(now time.Time) (total, minute Counts) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.advance(now)
	oldest := (a.newest + 1) % slots
	return a.total, a.total.minus(&a.before[oldest])
}

// Keep drops the upstreams for which stays returns false.
func (t *Tally) Keep(stays func(upstream string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.all, func(name string, _ *Account) bool { return !stays(name) })
}

// Each calls f with each upstream that has computed prompts, in the order of their names: with all that was counted since the start, and
// with the last minute, which is 55 to 60 s. f must not call the tally.
func (t *Tally) Each(now time.Time, f func(upstream string, total, minute Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(t.all)) {
		if total, minute := t.all[name].read(now); total != (Counts{}) {
			f(name, total, minute)
		}
	}
}
