package limit

import (
	"sync/atomic"
	"time"
)

// Rate is how many requests may begin in a minute. It is a token bucket that holds the tokens of one minute: after a pause that many
// requests may begin at once, and then one whenever a token is there. The zero value has no limit. It must not be copied.
//
// It needs no timer: it is the virtual scheduling form of the leaky bucket (GCRA, ITU-T I.371), which keeps one point in time.
type Rate struct {
	perMinute atomic.Int64 // 0 for no limit
	// spent is how far into the future tokens are spent, in Unix ns: at most a minute after the last request.
	spent atomic.Int64
}

// PerMinute sets how many requests may begin in a minute, 0 for no limit. What was spent before stays spent.
func (r *Rate) PerMinute(n int) { r.perMinute.Store(int64(n)) }

// TakeToken takes a token at now, or returns how long it takes until one is there.
func (r *Rate) TakeToken(now time.Time) (wait time.Duration) {
	for {
		before := r.spent.Load()
		after, wait := r.spend(before, now)
		if wait > 0 || r.spent.CompareAndSwap(before, after) {
			return wait
		}
	}
}

// Wait is how long it takes at now until a token is there, 0 if one is.
func (r *Rate) Wait(now time.Time) (wait time.Duration) {
	_, wait = r.spend(r.spent.Load(), now)
	return wait
}

// spend is spent after another token, or the wait for that token.
func (r *Rate) spend(spent int64, now time.Time) (after int64, wait time.Duration) {
	n, at := r.perMinute.Load(), now.UnixNano()
	if n == 0 {
		return spent, 0
	}
	if spent < at || spent > at+int64(time.Minute) { // beyond a minute: the clock was set back
		spent = at
	}
	after = spent + int64(time.Minute)/n
	return after, time.Duration(max(0, after-at-int64(time.Minute)))
}
