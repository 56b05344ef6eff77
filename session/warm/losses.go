package warm

import "math"

// losses compares what was expected in caches with what servers found there. Old turns fade.
type losses struct {
	expected, found float64 // tokens
	turns           float64
	at              int64 // Unix ms of the last turn
}

const (
	// fadeMs is the time constant with which turns fade, in milliseconds.
	fadeMs = 30_000
	// minCachedShare is how many times as long as the part that must be computed a prompt is, at least: otherwise the client may have
	// written its history anew.
	minCachedShare = 4
	// minExpected is the least number of expected tokens that counts.
	minExpected = 512
	// slack is what servers do not find for other reasons: they cache whole blocks alone, of 16 to 128 tokens, and never the last token.
	slack = 128
)

// add notes a turn with so many tokens, at a time in Unix ms.
func (l *losses) add(expected, found, prompt float64, at int64) {
	if expected < minExpected || prompt < minCachedShare*(prompt-expected) {
		return
	}
	l.fade(at)
	expected -= slack
	l.expected += expected
	l.found += min(found, expected)
	l.turns++
}

func (l *losses) fade(now int64) {
	f := fadeAfter(now - l.at)
	l.expected, l.found, l.turns, l.at = l.expected*f, l.found*f, l.turns*f, max(l.at, now)
}

// fadeAfter returns the part that is left after so many milliseconds.
func fadeAfter(ms int64) float64 {
	if ms < int64(len(shortFades)) {
		return shortFades[max(0, ms)]
	}
	return math.Exp(-float64(ms) / fadeMs)
}

// shortFades has the parts that are left after few milliseconds, which is all that is needed when turns cost most: when there are many.
var shortFades = func() (left [64]float64) {
	for ms := range left {
		left[ms] = math.Exp(-float64(ms) / fadeMs)
	}
	return left
}()

// shortfall returns the share of the expected tokens that was not found, and how many turns say so, at a time in Unix ms.
func (l *losses) shortfall(now int64) (share, turns float64) {
	l.fade(now)
	if l.expected < 1 {
		return 0, 0
	}
	return 1 - l.found/l.expected, l.turns
}
