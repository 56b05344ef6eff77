package demo

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// turn is one answered turn of a conversation.
type turn struct {
	reply
	at    time.Time
	later bool // not the first turn of its conversation
}

// turnLog is what the clients received.
type turnLog struct {
	broken atomic.Int64 // answers that began and did not end
	failed atomic.Int64 // requests without an answer, or with an error

	mu    sync.Mutex
	turns []turn // guarded by mu; the oldest first
}

func (l *turnLog) add(r reply, later bool) {
	r.text = ""
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = append(l.turns, turn{reply: r, at: time.Now(), later: later})
}

// since returns the turns that were answered at t or later.
func (l *turnLog) since(t time.Time) []turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.turns[firstAt(l.turns, t):])
}

// forget drops the turns before t: a demo may run for days.
func (l *turnLog) forget(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = slices.Delete(l.turns, 0, firstAt(l.turns, t))
}

// firstAt returns the index of the first turn that was answered at t or later.
func firstAt(turns []turn, t time.Time) int {
	i, _ := slices.BinarySearchFunc(turns, t, func(u turn, t time.Time) int { return u.at.Compare(t) })
	return i
}

// summary sums turns up. Hit rate and time to first token are those of later turns alone: the prompt of a first turn is in no
// cache, wherever it goes.
type summary struct {
	answers        int             // of all turns
	prompt, cached int             // tokens
	ttft           []time.Duration // times to the first token, sorted
}

// summarize sums up the turns that one server answered, or all for "".
func summarize(turns []turn, server string) (s summary) {
	for _, t := range turns {
		if server != "" && t.server != server {
			continue
		}
		s.answers++
		if t.later {
			s.prompt += t.prompt
			s.cached += t.cached
			s.ttft = append(s.ttft, t.ttft)
		}
	}
	slices.Sort(s.ttft)
	return s
}

// hitRate is the share of the prompts' tokens that a server had in its cache: 0..1, or NaN without a later turn.
func (s *summary) hitRate() float64 { return float64(s.cached) / float64(s.prompt) }

// percentile is the time to the first token that a share q of the later turns did not exceed (nearest rank). It is negative
// without a later turn.
func (s *summary) percentile(q float64) time.Duration {
	if len(s.ttft) == 0 {
		return -1
	}
	rank := int(math.Ceil(q * float64(len(s.ttft))))
	return s.ttft[max(rank, 1)-1]
}
