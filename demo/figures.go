package demo

import (
	"math"
	"slices"
	"sync"
	"time"
)

// turn is one answered turn of a conversation.
type turn struct {
	reply
	at    time.Time
	later bool // not the first of its conversation
}

// figures are the answers that the clients got.
type figures struct {
	mu           sync.Mutex
	turns        []turn // guarded by mu; the oldest first
	broken, fail int    // guarded by mu
}

// answered counts a whole answer.
func (f *figures) answered(r reply, later bool) {
	r.text = ""
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns = append(f.turns, turn{reply: r, at: time.Now(), later: later})
}

// broke counts an answer that began and did not end.
func (f *figures) broke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken++
}

// failed counts a request that got no answer, or an error for one.
func (f *figures) failed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail++
}

// trouble gives what did not go well.
func (f *figures) trouble() (broken, failed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken, f.fail
}

// since gives the turns that were answered at t or later.
func (f *figures) since(t time.Time) []turn {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := slices.IndexFunc(f.turns, func(u turn) bool { return !u.at.Before(t) })
	if first < 0 {
		return nil
	}
	return slices.Clone(f.turns[first:])
}

// forget loses the turns before t: a demonstration may go on for days.
func (f *figures) forget(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns = slices.DeleteFunc(f.turns, func(u turn) bool { return u.at.Before(t) })
}

// before gives those of the turns that were answered before t.
func before(turns []turn, t time.Time) []turn {
	return slices.DeleteFunc(slices.Clone(turns), func(u turn) bool { return !u.at.Before(t) })
}

// summary is what turns come to. Hit rate and time to first token are those of later turns alone: a first turn's prompt
// is in no cache, wherever it goes.
type summary struct {
	answers        int // all turns
	prompt, cached int // tokens
	firsts         []time.Duration
}

// summarise sums the turns up that one server answered, or all for "".
func summarise(turns []turn, server string) (s summary) {
	for _, t := range turns {
		if server != "" && t.server != server {
			continue
		}
		s.answers++
		if t.later {
			s.prompt += t.prompt
			s.cached += t.cached
			s.firsts = append(s.firsts, t.first)
		}
	}
	slices.Sort(s.firsts)
	return s
}

// hitRate is the share of the prompts' tokens that a server had in its cache: 0..1, or NaN without a later turn.
func (s *summary) hitRate() float64 {
	if s.prompt == 0 {
		return math.NaN()
	}
	return float64(s.cached) / float64(s.prompt)
}

// first is the time to the first token that a share q of the turns did not exceed (nearest rank): negative without a
// later turn.
func (s *summary) first(q float64) time.Duration {
	if len(s.firsts) == 0 {
		return -1
	}
	rank := int(math.Ceil(q * float64(len(s.firsts))))
	return s.firsts[max(rank, 1)-1]
}
