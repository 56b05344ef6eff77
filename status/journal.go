package status

import (
	"math"
	"sync"

	"tether/proxy"
	"tether/session"
	"tether/session/balance"
	"tether/session/identity"
	"tether/upstream"
)

// turn is a request of a session, as the journal remembers it. prompt and cached are tokens, -1 where the answer does not say.
type turn struct {
	at             int64 // Unix ms
	prompt, cached int32
	upstream       upstream.Ref
	status         uint16
	outcome        session.Outcome
	away           balance.Reason
	fate           string // a word of package fates, or ""
}

// The journal remembers the last turns of the sessions that were used last. It takes at most 1.4 MiB.
const (
	maxJournal = 4096
	maxTurns   = 8
	stripes    = 64
)

// journal remembers the last turns of sessions by their keys. Each key has one place, which it shares with others: the one that was used
// last has it.
type journal struct {
	locks   [stripes]sync.Mutex
	entries [maxJournal]entry // guarded by the lock with the index of the entry % stripes
}

type entry struct {
	key   identity.Key
	turns [maxTurns]turn
	n     int // turns so far
}

// note remembers the request of r, if it has a session and was sent to an upstream.
func (j *journal) note(r *proxy.Record) {
	if r.Key.IsZero() || r.Upstream == nil {
		return
	}
	at := r.Key.Lo % maxJournal
	j.locks[at%stripes].Lock()
	defer j.locks[at%stripes].Unlock()
	e := &j.entries[at]
	if e.key != r.Key {
		e.key, e.n = r.Key, 0
	}
	e.turns[e.n%maxTurns] = turn{
		at: r.Started.UnixMilli(), upstream: r.Upstream.Ref(), outcome: r.Outcome, away: r.Away, status: uint16(r.Status),
		prompt: clampTokens(r.PromptTokens), cached: clampTokens(r.CachedTokens), fate: r.Fates.Word(),
	}
	e.n++
}

// of returns the last turns of a session, the latest first.
func (j *journal) of(k identity.Key) (turns []turn) {
	at := k.Lo % maxJournal
	j.locks[at%stripes].Lock()
	defer j.locks[at%stripes].Unlock()
	e := &j.entries[at]
	if k.IsZero() || e.key != k {
		return nil
	}
	for i := 1; i <= min(e.n, maxTurns); i++ {
		turns = append(turns, e.turns[(e.n-i)%maxTurns])
	}
	return turns
}

// clampTokens makes a number of tokens fit.
func clampTokens(n int) int32 { return int32(min(n, math.MaxInt32)) }
