package proxy

import (
	"time"

	"tether/failure"
	"tether/session"
	"tether/upstream"
)

// What follows an attempt at an upstream that failed, before the first byte to the client. consequences has a row for each kind of
// failure, and attempts remembers what the rows need to know of the attempts before. docs/ARCHITECTURE.md explains the rules
// ("When things fail").

// verdict is what follows an attempt.
type verdict uint8

const (
	// relayAnswer: the answer goes to the client.
	relayAnswer verdict = iota
	// retrySame: the request goes to the same upstream once more, on a fresh connection.
	retrySame
	// tryNext: the request goes to the next upstream of the order.
	tryNext
	// fail: the client gets a fault.
	fail
)

// consequence is what a kind of failure means.
type consequence struct {
	// next decides what is tried next.
	next func(*attempts) verdict
	// fault is what the client gets, if nothing else is tried.
	fault *fault
	// suspicion is why the upstream becomes suspect, "" if it does not.
	suspicion string
	// unpins: the session's pin may be rewritten to the upstream that answers, at once.
	unpins bool
	// leaving: the upstream takes no new sessions.
	leaving bool
	// full: the upstream takes no new sessions for a moment, if another one does.
	full bool
	// retryAfter: the answer asks the client to try again in a second, if it is passed on.
	retryAfter bool
	// charged: the upstream is charged for the failure as for an answer, so that quick failures earn it no calls.
	charged bool
	// ours: the failure says nothing of the upstream, and does not count as an attempt.
	ours bool
}

// consequences are indexed by the kind of failure. The word of the kind is what metrics say of the attempt.
var consequences = [failure.Count]consequence{
	failure.None:        {next: (*attempts).answered},
	failure.Refused:     {next: (*attempts).notSent, fault: faultNoAnswer, suspicion: "it refused a request's connection", unpins: true, charged: true},
	failure.Unreachable: {next: (*attempts).notSent, fault: faultNoAnswer, suspicion: "a request could not connect to it", charged: true},
	failure.Insecure:    {next: (*attempts).notSent, fault: faultNoAnswer, suspicion: "a request got no TLS connection to it", charged: true},
	failure.Exhausted:   {next: (*attempts).stopped, fault: faultExhausted, ours: true},
	failure.Stale:       {next: (*attempts).stale, fault: faultNoAnswer},
	failure.Cut:         {next: (*attempts).death, fault: faultDied, charged: true},
	failure.BadHead:     {next: (*attempts).stopped, fault: faultBadHead, charged: true},
	failure.HeadTimeout: {next: (*attempts).stopped, fault: faultHeadTimeout, charged: true},
	failure.Busy:        {next: (*attempts).overloaded, fault: faultNoUpstream, charged: true},
	failure.Declined:    {next: (*attempts).declined, fault: faultNoUpstream, retryAfter: true, charged: true},
	failure.Full:        {next: (*attempts).refused, fault: faultNoUpstream, full: true, retryAfter: true, charged: true},
	failure.Leaving:     {next: (*attempts).refused, fault: faultNoUpstream, leaving: true, charged: true},
	failure.ClientGone:  {next: (*attempts).stopped, fault: faultClientGone},
}

// apply tells the upstream and the route what the failure at now means to them.
func (c *consequence) apply(u *upstream.Upstream, r *session.Route, now time.Time) {
	if c.unpins {
		r.Refused()
	}
	if c.suspicion != "" {
		u.Suspected(c.suspicion)
	}
	if c.leaving {
		u.SaidLeaving()
	}
	if c.full {
		u.SaidFull(now)
	}
}

// attempts remembers how the attempts of one request ended.
type attempts struct {
	tries   []Try        // all of them, those that did not count included
	count   int          // of those that count
	replays int          // of these, the ones on a fresh connection to the same upstream
	last    *consequence // of the last attempt, nil before it

	replayed bool // the present attempt is on a fresh connection after a stale one
	// given: an upstream that got the whole request died over it, or answered 503 after it may have worked on it. A prompt
	// that kills engines must not tour the fleet: one more upstream gets it, no third.
	given bool
	died  bool // an upstream died over the request
	busy  bool // an upstream answered 503, or refused
	full  bool // an upstream was left that has as many requests as it may have
	waits bool // the upstream is down that stores the response which the request is about
	shed  bool // the request begins a conversation, and all upstreams have too much to do

	// onlyThere: the request is about a response that only one server has. No other can answer it.
	onlyThere bool
	// background: a server that has the request works on it after its answer. No other may get it, unless the
	// server said that it does not work on it.
	background bool
}

// begin makes t ready for a request.
func (t *attempts) begin(onlyThere, background bool) {
	t.onlyThere, t.background = onlyThere, background
}

func (t *attempts) reset() { *t = attempts{tries: t.tries[:0]} }

// after decides what follows an attempt that ended with k.
func (t *attempts) after(k failure.Kind) verdict {
	c := &consequences[k]
	t.last = c
	if !c.ours {
		t.count++
		if t.replayed {
			t.replays++
		}
	}
	return c.next(t)
}

// note adds an attempt that ended with k at now to tries.
func (t *attempts) note(a *attempt, k failure.Kind, now time.Time) {
	t.tries = append(t.tries, Try{a.up, k, a.began, now})
}

// fault is what the client gets when nothing more is tried. A death outweighs later failures: the client must
// not try again by itself.
func (t *attempts) fault() *fault {
	switch {
	case t.last == nil && t.shed:
		return faultShed
	case t.last == nil && t.full:
		return faultUpstreamsFull
	case t.last == nil && t.waits:
		return faultResponseDown
	case t.last == nil:
		return faultNoUpstream
	}
	switch f := t.last.fault; {
	case t.died && f != faultClientGone:
		return faultDied
	case t.full && f == faultNoAnswer:
		return faultUpstreamsFull
	case t.waits && f == faultNoAnswer:
		return faultResponseDown
	case t.busy && f == faultNoAnswer:
		return faultNoUpstream // one upstream was there, and asked for patience
	default:
		return f
	}
}

func (t *attempts) answered() verdict { return relayAnswer }

func (t *attempts) stopped() verdict { return fail }

// notSent: the upstream did not get the request. Before a replay, though, it may have got the request and died over it.
func (t *attempts) notSent() verdict {
	if t.replayed {
		return t.death()
	}
	return tryNext
}

// stale: most likely the server had closed an idle connection, and has not got the request.
func (t *attempts) stale() verdict {
	if t.replayed {
		return t.death()
	}
	t.replayed = true
	return retrySame
}

// death: an upstream died that got the whole request, or most likely did.
func (t *attempts) death() verdict {
	t.died = true
	if t.onlyThere || t.background || t.given {
		return fail
	}
	t.given = true
	return tryNext
}

// overloaded: the upstream answered 503, and may have worked on the request.
func (t *attempts) overloaded() verdict {
	next := t.declined()
	t.given = true
	return next
}

// declined: the upstream answered 503 so soon that most likely it has not begun to work on the request. That is not certain enough for
// background work, or for a request that an upstream has died over.
func (t *attempts) declined() verdict {
	if t.background || t.given {
		return relayAnswer
	}
	return t.refused()
}

// refused: the upstream refused the request and has not begun to work on it, so the request does not count as given.
func (t *attempts) refused() verdict {
	if t.onlyThere {
		return relayAnswer
	}
	t.busy = true
	return tryNext
}
