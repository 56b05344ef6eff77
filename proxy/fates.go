package proxy

import (
	"time"

	"tether/session"
	"tether/session/balance"
	"tether/session/fates"
	"tether/session/warm"
	"tether/upstream"
)

// fatesOf returns what became of the tokens of the prompt of x, which upstream u has answered. before is what was remembered of the
// conversation.
func fatesOf(x *exchange, before *warm.Before, u *upstream.Upstream) fates.Split {
	r := &x.rec
	opens := opensConversation(x)
	return fates.Of(fates.Turn{
		Prompt: int64(r.PromptTokens), Cached: int64(r.CachedTokens),
		Known: before.Prompt > 0 && !before.Overlaps && !opens, Older: before.Prompt == 0 && !opens && continues(x),
		Before: before.Prompt, Here: before.Here, Restarted: before.Process != u.Process(),
		Reason: reasonOf(x), Block: u.KVBlock(),
	})
}

// opensConversation reports whether the prompt of x has no earlier answer.
func opensConversation(x *exchange) bool {
	return x.caller.firstTurn && !x.caller.follows
}

// continues reports whether x is a turn of a conversation that has begun: the conversation had a pin, or the request names a response.
func continues(x *exchange) bool {
	o := x.rec.Outcome
	return o == session.Pinned || o == session.Moved || o == session.Spilled || x.caller.follows
}

// reasonOf returns why the conversation of x is at another server than before, if it is.
func reasonOf(x *exchange) fates.Reason {
	r := &x.rec
	switch {
	case r.Surplus, r.Hot > 0:
		return fates.Spread
	case r.Away != balance.Stayed:
		return fates.Reason(r.Away)
	case r.Outcome == session.New:
		return fates.Unpinned
	case r.Outcome == session.Moved:
		return fates.Response
	}
	return fates.Returned
}

// savedBy returns how long a server would have needed for so many cached tokens, at a rate in tokens a second; 0 for an unknown rate.
func savedBy(cached int64, rate float64) time.Duration {
	if cached <= 0 || rate <= 0 {
		return 0
	}
	return time.Duration(float64(cached) / rate * float64(time.Second))
}
