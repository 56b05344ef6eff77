package session

import (
	"time"

	"tether/upstream"
)

// Explanation is where a request would go now, and why.
type Explanation struct {
	// Home is where the ring places the request while every upstream is up, nil for one that has no place there.
	Home *upstream.Upstream
	// Pin is the upstream that the session is pinned to, nil for none. PinSkipped says why the request does not go
	// there, "" if it does.
	Pin        *upstream.Upstream
	PinSkipped string
	// Upstream gets the request first. It is nil where nobody may have it, or where load or turn decides among
	// the candidates.
	Upstream *upstream.Upstream
	// Outcome is what the request's affinity comes to if the upstream answers well.
	Outcome Outcome
	// Why says in a few words how the upstream is chosen.
	Why string
	// Steps are all upstreams: in the order in which the ring has them, else in that of the table.
	Steps []Step
}

// Step is what an explained request makes of one upstream.
type Step struct {
	Upstream *upstream.Upstream
	Verdict  Verdict
	// Why says for a skipped one what speaks against it.
	Why string
}

// Verdict is what comes of an upstream in an explanation.
type Verdict string

// Verdicts.
const (
	Taken      Verdict = "taken"
	Skipped    Verdict = "skipped"
	NotReached Verdict = "not reached" // another was taken before
	Candidate  Verdict = "candidate"   // load or turn decides
)

// Explain tells where a request would go if it came now. It walks the way that the request would, and stops where
// that would change something: no pin is used, no crowd entered, nobody's turn taken.
func (r *Router) Explain(req Request, now time.Time) Explanation {
	var t Route
	t.begin(r, req)
	if !t.req.Response.IsZero() {
		t.maker, _ = r.responses.Peek(req.Response, now)
	}
	if !t.req.Key.IsZero() {
		t.surplus = req.Shared && !t.followsResponse() && r.crowds.full(req.Key)
		t.pin, _ = r.pins.Peek(req.Key, now)
	}
	c := t.choice()
	c.heard = &hearing{places: make([]obstacle, len(t.v.table.Members))}
	if t.order() != byRing {
		return t.explainDraw(&c)
	}
	return t.explainWalk(&c)
}

// explainWalk explains a request that follows its pin or the ring.
func (t *Route) explainWalk(c *choice) (e Explanation) {
	t.last = t.find(c)
	e.Upstream, e.Pin, e.Why = t.last, t.v.table.Resolve(t.pin), t.chosen(c)
	if t.pin != 0 && (t.last == nil || t.last.Ref() != t.pin) {
		e.PinSkipped = t.skipped(c)
	}
	if t.last != nil {
		e.Outcome = t.foresee(c)
	}
	order := t.wholeOrder(c)
	e.Home = order.home(t.v.table)
	e.Steps = t.steps(c, order, t.last != nil && (t.last.Ref() == t.pin || t.last.Ref() == t.maker))
	return e
}

// skipped says why the request does not go where its session is pinned.
func (t *Route) skipped(c *choice) string {
	u := t.v.table.Resolve(t.pin)
	switch {
	case u == nil:
		return "it is not configured any more"
	case t.last != nil && t.last.Ref() == t.maker:
		return "another one made the response that the request is about"
	}
	return c.heard.pin.words(u)
}

// wholeOrder is the order that a request has while every member is up.
type wholeOrder struct {
	// allowed are in the order of the ring; others are not for the model by the configuration.
	allowed, others []int
}

func (o *wholeOrder) home(table *upstream.Table) *upstream.Upstream {
	if len(o.allowed) == 0 {
		return nil
	}
	return table.Members[o.allowed[0]].Upstream
}

// chosen says how find came to its choice.
func (t *Route) chosen(c *choice) string {
	switch {
	case t.last == nil:
		return "nobody may take it"
	case t.last.Ref() == t.maker:
		return "it made the response that the request is about"
	case t.last.Ref() == t.pin:
		return "it is pinned there"
	case c.tier == doubtful:
		return "the first of its order that is up: suspect and leaving ones count where all are"
	case c.tier == blind:
		return "the first of its order: all are down by probe timeouts alone, so requests are tried all the same"
	}
	return "the first of its order that may take it"
}

// foresee is the outcome if the last attempt is answered well.
func (t *Route) foresee(c *choice) Outcome {
	t.bound = t.binds(c, t.last)
	if !t.req.Key.IsZero() && !t.bound && t.moves(200) {
		return Moved
	}
	return t.judge()
}

func (t *Route) wholeOrder(c *choice) (o wholeOrder) {
	walk := c.walk(t.place())
	for i := walk.Next(c.allowed); i >= 0; i = walk.Next(c.allowed) {
		o.allowed = append(o.allowed, i)
	}
	anyone := func(int) bool { return true }
	for i := walk.Next(anyone); i >= 0; i = walk.Next(anyone) {
		o.others = append(o.others, i)
	}
	return o
}

// steps tells of each member what came of it: of those of the order, and then of those that the ring never gives.
func (t *Route) steps(c *choice, order wholeOrder, pinned bool) []Step {
	members := t.v.table.Members
	steps := make([]Step, 0, len(members))
	reached := pinned
	for _, i := range order.allowed {
		s := Step{Upstream: members[i].Upstream, Verdict: NotReached}
		switch {
		case s.Upstream == t.last:
			s.Verdict, reached = Taken, true
		case !reached:
			s.Verdict, s.Why = Skipped, c.heard.places[i].words(s.Upstream)
		}
		steps = append(steps, s)
	}
	for _, i := range order.others {
		steps = append(steps, t.outside(&members[i], closed))
	}
	for i := range members {
		if members[i].Weight == 0 {
			steps = append(steps, t.outside(&members[i], weightless))
		}
	}
	return steps
}

// outside tells of a member that the order never gives: a pin or a response may lead there all the same.
func (t *Route) outside(m *upstream.Member, o obstacle) Step {
	if m.Upstream == t.last {
		return Step{Upstream: m.Upstream, Verdict: Taken}
	}
	return Step{Upstream: m.Upstream, Verdict: Skipped, Why: o.words(m.Upstream)}
}

// explainDraw explains a request that goes by load or turn.
func (t *Route) explainDraw(c *choice) (e Explanation) {
	if t.surplus {
		order := t.wholeOrder(c)
		e.Pin, e.Home = t.v.table.Resolve(t.pin), order.home(t.v.table)
	}
	if t.pin != 0 {
		e.PinSkipped = "too many requests are in flight under its id"
	}
	found := c.first(anyhow, 0) != nil
	switch {
	case !found:
		e.Why = "nobody may take it"
	case t.order() == inTurn:
		e.Why = "the candidates take turns: affinity is off"
	case t.surplus:
		e.Why = "the less loaded of two candidates: more requests are in flight under its id than one conversation has"
		e.Outcome = Spilled
	default:
		e.Why = "the less loaded of two candidates: it has no session"
	}
	for i, m := range t.v.table.Members {
		o := c.heard.places[i]
		if found {
			o = c.against(i) // scan asked until the first that is acceptable
		}
		s := Step{Upstream: m.Upstream, Verdict: Candidate}
		if o != nothing {
			s.Verdict, s.Why = Skipped, o.words(m.Upstream)
		}
		e.Steps = append(e.Steps, s)
	}
	return e
}
