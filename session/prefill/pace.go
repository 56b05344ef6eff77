package prefill

import (
	"math"
	"time"
)

// pace learns how many tokens a second a server reads, from answers of idle servers. It averages ratios, in the logarithm: twice too
// fast and twice too slow are equally wrong.
type pace struct {
	last     int64   // Unix ns of the last lesson, 0 before the first
	certain  int64   // Unix ns of the last certain lesson, 0 before the first
	overhead float64 // seconds that an answer takes without any work on the prompt, 0 if unknown
}

const (
	// minWork is the least number of tokens whose time says something about the rate.
	minWork = 256
	// noWork is the greatest number of tokens that take hardly any time: little more than the block that caches never hold.
	noWork = 64
	// minTook is the least time that can lower the rate: within less, the time without prefill may be most of it.
	minTook = 50 * time.Millisecond
	// maxTook is the greatest plausible time of a prefill.
	maxTook = time.Hour
	// slowestRate and fastestRate are the bounds of a plausible rate, in tokens/s.
	slowestRate = 10
	fastestRate = 10_000_000
)

// A lesson weighs 1 - exp(-t/T) after t seconds without one, and at most maxWeight, so that a single strange answer cannot
// double the error. A wrong rate is right within a minute. A rate rises faster than it falls: too fast is the safe side.
const (
	riseSeconds = 4
	fallSeconds = 12
	maxWeight   = 0.5
)

// learn returns the rate after a certain lesson: an idle server read so many tokens, took before its first byte. ok is false if the lesson says
// nothing about the rate.
func (p *pace) learn(rate, tokens float64, took time.Duration, now time.Time) (after float64, ok bool) {
	seconds := took.Seconds()
	if tokens < minWork {
		if tokens <= noWork {
			p.noteOverhead(seconds)
		}
		return rate, false
	}
	after, ok = p.move(rate, tokens, seconds, fastestRate, now)
	if ok {
		p.certain = p.last
	}
	return after, ok
}

// certainFor is how long a certain lesson outweighs all others.
const certainFor = 10 * time.Minute

// learnAtMost returns the rate after a lesson that is not certain: an idle server read at most so many tokens. Many servers do not say
// how many they had in their caches: vLLM does with --enable-prompt-tokens-details only. Without a certain lesson the rate is never
// above unknownRate: the prompts of an agent begin alike, so a server seems to read them many times faster than it reads.
func (p *pace) learnAtMost(rate, tokens float64, took time.Duration, now time.Time) (_ float64, ok bool) {
	if tokens < minWork || p.certain != 0 && now.UnixNano()-p.certain < int64(certainFor) {
		return rate, false
	}
	return p.move(min(rate, unknownRate), tokens, took.Seconds(), unknownRate, now)
}

// move moves the rate by a lesson: an idle server read so many tokens in so many seconds. fastest is the greatest rate that the lesson
// can show.
func (p *pace) move(rate, tokens, seconds, fastest float64, now time.Time) (_ float64, ok bool) {
	least := tokens / seconds // even if all of the time was prefill
	if least < slowestRate || least > fastestRate {
		return rate, false
	}
	seen := min(fastest, tokens/max(seconds-p.overhead, seconds/2))
	since := max(0, float64(now.UnixNano()-p.last)/1e9)
	switch {
	case seen > rate:
		rate = approach(rate, seen, since/riseSeconds)
	case seconds < minTook.Seconds() || seconds < 2*p.overhead:
		return rate, false
	default:
		rate = approach(rate, seen, since/fallSeconds)
	}
	p.last = now.UnixNano()
	return rate, true
}

// approach moves rate towards seen, by a weight that grows with the time since the last lesson.
func approach(rate, seen, time float64) float64 {
	weight := min(maxWeight, 1-math.Exp(-time))
	return rate * math.Pow(seen/rate, weight)
}

// noteOverhead notes how long an answer took that was hardly any work. The quick ones count most.
func (p *pace) noteOverhead(seconds float64) {
	switch {
	case p.overhead == 0:
		p.overhead = seconds
	case seconds < p.overhead:
		p.overhead += (seconds - p.overhead) / 4
	default:
		p.overhead += min(seconds-p.overhead, p.overhead) / 64
	}
}
