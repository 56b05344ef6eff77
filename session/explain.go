package session

import (
	"time"

	"tether/session/pins"
	"tether/upstream"
)

// Explanation is where a request would go now, and why.
type Explanation struct {
	// Home is the upstream that the ring gives the request while every upstream is up, nil without a place in the ring.
	Home *upstream.Upstream
	// Pin is the upstream that the session is pinned to, nil for none. PinSkipped says why the request does not go there,
	// "" if it does.
	Pin        *upstream.Upstream
	PinSkipped string
	// Upstream receives the request first. It is nil if no upstream is eligible, or if load or turn decides among the
	// candidates.
	Upstream *upstream.Upstream
	// Outcome is the outcome if the upstream answers well.
	Outcome Outcome
	// InFlight is how many requests are in flight under the session's id, if they are more than one conversation has; otherwise 0.
	InFlight int
	// Why says in a few words how the upstream is chosen.
	Why string
	// Steps has all upstreams, in the order of the ring, or else of the table.
	Steps []Step
}

// Step is what an explained request makes of one upstream.
type Step struct {
	Upstream *upstream.Upstream
	Verdict  Verdict
	// Why says for a skipped upstream what speaks against it.
	Why string
}

// Verdict is the result of a Step.
type Verdict string

// Verdicts.
const (
	Taken      Verdict = "taken"
	Skipped    Verdict = "skipped"
	NotReached Verdict = "not reached" // another upstream was taken before
	Candidate  Verdict = "candidate"   // load or turn decides
)

const (
	notConfigured = "it is not configured any more"
	noneEligible  = "no upstream is eligible"
)

// explained is a route that is explained instead of taken.
type explained struct {
	Route
	i int     // the upstream that the request goes to, -1 for none
	p purpose // that i is eligible for, or the last one that was tried
}

// Explain says where a request would go if it began now. It takes the steps that the request would take, and leaves out
// those that change something: it uses no pin, enters no crowd and takes no turn.
func (r *Router) Explain(req Request, now time.Time) Explanation {
	var x explained
	r.begin(&x.Route, req, now)
	if !x.req.Response.IsZero() {
		x.storedAt, _ = r.responses.Peek(x.req.Response, now)
	}
	if !x.req.Key.IsZero() {
		if limit := x.candidates.cfg.crowdLimit(&x.req); limit > 0 && x.stored() < 0 {
			x.inFlight, x.surplus = r.crowds.look(req.Key, limit)
		}
		x.pin.to, _ = r.pins.Peek(req.Key, now)
		x.candidates.silent = pins.Idle(r.pins, req.Key, now)
	}
	if x.order() != byRing {
		x.i, x.p = x.candidates.firstInTable()
		return x.draw()
	}
	x.i, x.p = x.find()
	if x.shed = x.i >= 0 && mustShed(&x.Route, x.p); x.shed {
		x.i = -1
	}
	if x.p == serveStored && x.candidates.upstream(x.i).AtLimit() {
		x.i = -1
	}
	return x.walk()
}

// walk explains a request that goes by its response, its pin or the ring.
func (x *explained) walk() (e Explanation) {
	v, at := x.candidates.view, x.candidates.table.Index(x.pin.to)
	e.Upstream, e.Pin, e.Why = v.upstream(x.i), v.upstream(at), x.whyChosen()
	if x.pin.to != 0 && (x.i < 0 || x.i != at) {
		e.PinSkipped = x.whyPinSkipped(at)
	}
	if x.i >= 0 {
		e.Outcome = x.foreseen()
	}
	order, home := x.wholeOrder()
	e.Home = v.upstream(home)
	e.Steps = x.steps(order)
	return e
}

// whyPinSkipped says why the request does not go to at, where its session is pinned.
func (x *explained) whyPinSkipped(at int) string {
	switch {
	case at < 0:
		return notConfigured
	case x.i >= 0 && x.p == serveStored:
		return "another one made the response that the request is about"
	}
	return x.why(at, servePinned)
}

// why says what keeps upstream i from serving the request for a purpose.
func (x *explained) why(i int, p purpose) string {
	if o := x.candidates.obstacle(i, p); o != nothing {
		return o.words(x.candidates.upstream(i))
	}
	if x.shed {
		return "above session.shed"
	}
	return "its state has changed just now"
}

// whyChosen says why the request goes to its upstream.
func (x *explained) whyChosen() string {
	switch {
	case x.shed:
		return "new conversations are refused: every upstream that could take it is above session.shed"
	case x.i < 0 && x.p == serveStored:
		return "the one that made the response that the request is about is full: it has as many requests in flight as its max_in_flight"
	case x.i < 0:
		return noneEligible
	case x.p == serveStored:
		return "it made the response that the request is about"
	case x.p == servePinned:
		return "it is pinned there"
	case x.p == newPlaceFull:
		return "the first of its order that is neither suspect nor leaving: all of them are full"
	case x.p == newPlaceDoubtful:
		return "the first of its order that is up: all of them are suspect or leaving"
	case x.p == newPlaceFailOpen:
		return "the first of its order: probe timeouts alone keep all of them down, so they are tried all the same"
	}
	return "the first of its order that may take it"
}

// foreseen is the outcome if the upstream answers well.
func (x *explained) foreseen() Outcome {
	switch {
	case x.shouldBind(x.i, x.p):
		x.pin.state = unconfirmed
	case !x.req.Key.IsZero() && x.shouldMove(x.i, 200):
		return Moved
	}
	return x.outcomeAt(x.i)
}

// wholeOrder returns all upstreams in the order of the ring for a request while every upstream is up. Those that may not
// serve the model by the configuration come after all others, and those of weight 0, which the ring leaves out, last. home is
// the first one, -1 if no upstream can be the home.
func (x *explained) wholeOrder() (order []int, home int) {
	home = -1
	walk := x.candidates.walk(x.req.ringKey())
	for i := walk.Next(x.candidates.assignable); i >= 0; i = walk.Next(x.candidates.assignable) {
		order = append(order, i)
		home = order[0]
	}
	all := func(int) bool { return true }
	for i := walk.Next(all); i >= 0; i = walk.Next(all) {
		order = append(order, i)
	}
	for i, m := range x.candidates.table.Members {
		if m.Weight == 0 {
			order = append(order, i)
		}
	}
	return order, home
}

// steps has a step for each upstream of the order. A response or a pin leads past all of them.
func (x *explained) steps(order []int) []Step {
	p, reached := x.p, false
	if p == serveStored || p == servePinned {
		p, reached = newPlace, true
	}
	steps := make([]Step, len(order))
	for n, i := range order {
		m := &x.candidates.table.Members[i]
		s := Step{Upstream: m.Upstream, Verdict: NotReached}
		switch {
		case i == x.i:
			s.Verdict, reached = Taken, true
		case m.Weight > 0 && !x.candidates.assignable(i):
			s.Verdict, s.Why = Skipped, notServing.words(m.Upstream)
		case m.Weight == 0 || !reached:
			s.Verdict, s.Why = Skipped, x.why(i, p)
		}
		steps[n] = s
	}
	return steps
}

// draw explains a request that goes by load or turn.
func (x *explained) draw() (e Explanation) {
	v := x.candidates.view
	if x.surplus {
		_, home := x.wholeOrder()
		e.Pin, e.Home, e.InFlight = v.upstream(v.table.Index(x.pin.to)), v.upstream(home), x.inFlight
	}
	if x.pin.to != 0 {
		e.PinSkipped = "too many requests are in flight under its id"
	}
	switch {
	case x.i < 0:
		e.Why = noneEligible
	case x.order() == inTurn:
		e.Why = "the candidates take turns: affinity is off"
	case x.surplus:
		e.Why = "the less loaded of two candidates: more requests are in flight under its id than one conversation has"
		e.Outcome = Spilled
	default:
		e.Why = "the less loaded of two candidates: it has no session"
	}
	for i := range v.table.Members {
		s := Step{Upstream: v.upstream(i), Verdict: Candidate}
		if o := x.candidates.obstacle(i, x.p); o != nothing {
			s.Verdict, s.Why = Skipped, o.words(s.Upstream)
		}
		e.Steps = append(e.Steps, s)
	}
	return e
}
