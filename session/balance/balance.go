// Package balance has the rule of placement by load, as functions of plain numbers. Package session applies it to upstreams.
//
// Work is counted in tokens of prompts that a server still has to compute before first tokens appear. Divided by R, the tokens that a
// server reads in a second, it is a time. The constants are no settings: simulated fleets of 4 to 64 servers, with recorded and
// generated conversations, do best with them (docs/AFFINITY.md has the tables).
package balance

import "time"

const (
	// leastWork is the work of a request whose whole prompt is cached, in tokens: the last block of a prompt is never found in a cache.
	leastWork = 64
	// awaySeconds is the time by which home may be busier than the least busy upstream. Up to 1 s waits do not change, and half of the
	// sessions and more begin at home; with 2 s they are 7 to 9 % longer.
	awaySeconds = 1.0
	// requestSeconds is the work that a request in flight stands for, besides its prompt: its answer slows others down. 0.3 s and more
	// make long waits longer; without it, requests in flight are uneven.
	requestSeconds = 0.1
	// moveFactor counts what is cached twice: a move is paid by the session, and again by those that wait behind its prompt. Counted
	// once, the longest waits are 8 to 40 % longer.
	moveFactor = 2
	// defaultMove is the time by which the upstream of a pinned session may be busier before the session moves, besides moveFactor times
	// the time of what is cached. With 1 s a tenth of the cached tokens is lost, with 4 s 4 %, with 6 s 1 to 3 %; 8 s do not lose less.
	defaultMove = Move(6 * time.Second)
	// goneShare is the part of a KV cache after which the cache of a session must be gone: a block that is not used goes when about as
	// much as the cache holds was computed since.
	goneShare = 0.9
	// keptShare is the part of a prompt that the server of a conversation has cached, if another process has sent the turn before there. With
	// 0.8, three processes place and move as one does that knows all turns; with the last turn that each knows, agents wait 1.5 times
	// as long.
	keptShare = 0.8
	// hungAfter is how long a server may be silent while a request waits for its first token, besides hungFactor times the time of
	// that request's own prompt.
	hungAfter  = 10 * time.Second
	hungFactor = 2
	// hungAnswers is by how many average answers that time is longer for an answer that does not stream: such a server is silent until
	// the end of the answer, and few answers take four times the average.
	hungAnswers = 4
	// longestPatience bounds the time that a server may be silent.
	longestPatience = time.Hour
)

// Work is the number of tokens of a prompt that a server computes which has cached tokens of it.
func Work(prompt, cached int64) int64 { return max(leastWork, prompt-max(0, cached)) }

// Backlog is what an upstream still has to do, in tokens: uncomputed tokens of prompts, and requests in flight. rate is R.
func Backlog(uncomputed int64, requests, rate float64) float64 {
	return float64(uncomputed) + requestSeconds*rate*requests
}

// StaysHome reports whether a new session begins at home, by the backlogs of home and of the least busy upstream.
func StaysHome(home, best, rate float64) bool { return home <= best+awaySeconds*rate }

// StaysPinned reports whether a pinned session stays, by the backlogs of its upstream and of the least busy one. The upstream has cached
// tokens of the session's prompt.
func StaysPinned(pinned, best float64, cached int64, rate float64, move Move) bool {
	return move == Never || pinned-best <= moveFactor*float64(cached)+time.Duration(move).Seconds()*rate
}

// IsGone reports whether a session's cache is gone from an upstream that was charged with so many tokens since the session's last turn
// there. capacity is that of the KV cache in tokens, 0 if it is unknown: then no cache is gone.
func IsGone(charged, capacity int64) bool {
	return capacity > 0 && float64(charged) > goneShare*float64(capacity)
}

// Kept is how many tokens of a prompt the server of its conversation has cached at least, if the turns before are not known.
func Kept(prompt int64) int64 { return int64(keptShare * float64(prompt)) }

// Patience is how long an upstream may be silent while a request waits for its first token. work is the request's Work. An answer that
// does not stream takes pace on average; pace is 0 for streams.
func Patience(work int64, rate float64, pace time.Duration) time.Duration {
	seconds := hungAfter.Seconds() + hungFactor*float64(work)/rate + hungAnswers*pace.Seconds()
	return time.Duration(min(seconds, longestPatience.Seconds()) * float64(time.Second))
}
