package session

import (
	"time"

	"tether/session/balance"
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
	// Outcome is the outcome if the upstream answers well. Away says why the request does not go to the pin or the home of its session.
	Outcome Outcome
	Away    balance.Reason
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
	Verdict  verdict
	// Why says for a skipped upstream what speaks against it.
	Why string
	// Backlog is the time that the upstream needs for the prompts and requests that it has, in seconds, by what tether sent there.
	Backlog float64
}

// verdict is the result of a Step.
type verdict string

// The verdicts.
const (
	taken      verdict = "taken"
	skipped    verdict = "skipped"
	notReached verdict = "not reached" // another upstream was taken before
	candidate  verdict = "candidate"   // load or turn decides
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
		if limit := x.candidates.cfg.crowdLimit(&x.req); limit > 0 && !isStored(&x.Route) {
			x.inFlight, x.surplus = r.crowds.look(req.Key, limit)
		}
		x.pin.to, x.candidates.silent, _ = pins.Look(r.pins, req.Key, now)
		x.pin.last = r.pins.Last(req.Key, x.pin.to, now)
		if home := settled(&x.Route); home != 0 {
			x.pin.to = home
		}
	}
	if x.order() != byRing {
		x.i, x.p = x.candidates.firstInTable()
		return x.draw()
	}
	x.i, x.p = x.find()
	if x.shed = x.i >= 0 && mustShed(&x.Route, x.p); x.shed {
		x.i = -1
	}
	if x.p == serveStored && !x.waits && x.candidates.upstream(x.i).AtLimit() {
		x.i = -1
	}
	return x.walk()
}

// walk explains a request that goes by its response, its pin or the ring.
func (x *explained) walk() (e Explanation) {
	v, at := x.candidates.view, x.candidates.table.Index(x.pin.to)
	e.Upstream, e.Pin, e.Why, e.Away = v.upstream(x.i), v.upstream(at), x.whyChosen(), x.away
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
	case x.p == serveStored && x.pin.to != x.storedAt:
		return "another one made the response that the request is about"
	}
	if why, ok := x.whyMoving(); ok {
		return why
	}
	return x.why(at, servePinned)
}

// whyMoving says why the session leaves the upstream that it is pinned to, if that upstream could serve it.
func (x *explained) whyMoving() (why string, ok bool) {
	switch {
	case !x.moving:
		return "", false
	case x.away == balance.Gone:
		return "its cache of the session must be gone: too much was computed there since the session's last turn", true
	case x.away == balance.Hung:
		return hung.words(x.candidates.upstream(x.i)), true
	}
	return "it is so much busier than another one that the session is served sooner there", true
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
	case x.waits:
		return "the one that made the response that the request is about is down: no other has the response"
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
	return x.whyPlace()
}

// whyPlace says why the request goes to a new place.
func (x *explained) whyPlace() string {
	switch o := placeOrder(&x.candidates, byRing, x.pin.to); {
	case x.moving && x.away != balance.Gone, o == byLoad && !x.moving:
		return "the least busy one that may take it"
	case x.away == balance.Busier:
		return "the least busy one: the home of the session has over a second of work more"
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
		s := Step{Upstream: m.Upstream, Verdict: notReached, Backlog: x.seconds(i)}
		switch {
		case i == x.i:
			s.Verdict, reached = taken, true
		case m.Weight > 0 && !x.candidates.assignable(i):
			s.Verdict, s.Why = skipped, notServing.words(m.Upstream)
		case m.Weight == 0 || !reached:
			if s.Verdict, s.Why = skipped, x.why(i, p); x.candidates.byLoad && x.i >= 0 && x.candidates.eligible(i, p) {
				s.Why = "busier"
			}
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
		e.Why = x.byLoad() + ": more requests are in flight under its id than one conversation has"
		e.Outcome = Spilled
	default:
		e.Why = x.byLoad() + ": it has no session"
	}
	for i := range v.table.Members {
		s := Step{Upstream: v.upstream(i), Verdict: candidate, Backlog: x.seconds(i)}
		if o := x.candidates.obstacle(i, x.p); o != nothing {
			s.Verdict, s.Why = skipped, o.words(s.Upstream)
		}
		e.Steps = append(e.Steps, s)
	}
	return e
}

// byLoad says which candidate load chooses.
func (x *explained) byLoad() string {
	if x.candidates.byLoad {
		return "the least busy candidate"
	}
	return "the less loaded of two candidates"
}

// seconds is the backlog of upstream i.
func (x *explained) seconds(i int) float64 {
	return busynessOf(&x.candidates, i).backlog / x.candidates.rate
}
