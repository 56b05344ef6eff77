package session

import (
	"time"

	"tether/session/identity"
	"tether/upstream"
)

// Outcome is what affinity came to for a request, decided by its last attempt.
type Outcome uint8

const (
	// None is a path without affinity, or no attempt was made.
	None Outcome = iota
	// New says that the session's first pin was written.
	New
	// Pinned says that the pin was followed.
	Pinned
	// Moved says that the pin was rewritten to another upstream.
	Moved
	// Spilled says that another upstream than the pinned one served, and the pin stayed.
	Spilled
)

// String is the outcome as it stands in X-Tether-Affinity.
func (o Outcome) String() string {
	return [...]string{"none", "new", "pinned", "moved", "spilled"}[o]
}

// Request is what a request asks a Router for.
type Request struct {
	// Key is the session's, zero for none: then nothing is pinned.
	Key identity.Key
	// Synthetic tells that the id was made up, Shared that many conversations may share it.
	Synthetic, Shared bool
	// Response is that of the stored response which the request is about or follows, zero for none. The upstream that
	// made it comes before any pin; where that is not known, a request without a session of its own starts the ring
	// there. Without Key and Response the request goes where the load is less.
	Response identity.Key
	// Model is the model asked for, empty if unknown.
	Model []byte
	// Guessed tells that the request names no model, and Key and Model are one of several that its session may have: its
	// pin is followed, and never follows a response.
	Guessed bool
}

// MaxTries bounds the upstreams that one Route gives.
const MaxTries = 16

// Route is the way of one request over the upstreams: Start, then Next for each attempt, Refused or Answered after
// it, and End once, on every way out. It belongs to one goroutine and may be used for one request after another.
type Route struct {
	r     *Router
	v     *view
	req   Request
	tries [MaxTries]*upstream.Server
	n     int

	maker     upstream.Ref // made the response that the request is about, 0 where that is not known
	pin       upstream.Ref // the pin as last seen, 0 for none
	bound     bool         // this request made the pin
	confirmed bool         // and it is a lasting one
	refused   bool         // the pinned upstream refused this request's connection
	counted   bool         // in the crowd of its id
	surplus   bool         // more than that crowd may have

	last    *upstream.Upstream
	outcome Outcome
	touched time.Time // when the pin was last used or kept alive
}

// Start begins the way of a request.
func (r *Router) Start(t *Route, req Request, now time.Time) {
	t.begin(r, req)
	if !t.req.Response.IsZero() {
		t.maker, _ = r.responses.Get(req.Response, now)
	}
	if t.req.Key.IsZero() {
		return
	}
	if req.Shared && !t.followsResponse() {
		t.counted = r.crowds.enter(req.Key)
		if t.surplus = !t.counted; t.surplus {
			return
		}
	}
	t.pin, _ = r.pins.Get(req.Key, now)
	t.touched = now
}

func (t *Route) begin(r *Router, req Request) {
	*t = Route{r: r, v: r.view.Load(), req: req}
	if !r.affinity {
		t.req.Key, t.req.Response = identity.Key{}, identity.Key{}
	}
}

// Next gives the upstream for the next attempt, none of a server twice, or nil when there is no other.
func (t *Route) Next(now time.Time) *upstream.Upstream {
	if t.n == MaxTries {
		return nil
	}
	u := t.pick(now)
	if u == nil {
		return nil
	}
	t.tries[t.n] = u.Server
	t.n++
	t.last = u
	t.outcome = t.judge()
	return u
}

// More reports whether Next would give an upstream.
func (t *Route) More() bool {
	c := t.choice()
	return t.n < MaxTries && c.first(anyhow, 0) != nil
}

func (t *Route) pick(now time.Time) *upstream.Upstream {
	c := t.choice()
	u := t.find(&c)
	if u == nil || !t.binds(&c, u) {
		return u
	}
	// Of requests of one new session that come at once, the first one's choice is everybody's.
	t.pin, t.bound = t.r.pins.Bind(t.req.Key, u.Ref(), t.req.Synthetic, now)
	if u.Ref() == t.maker {
		return u
	}
	if first := t.pinned(&c); first != nil {
		return first
	}
	return u
}

// find gives the upstream that the request takes as things are.
func (t *Route) find(c *choice) *upstream.Upstream {
	if u := t.made(c); u != nil {
		return u
	}
	o := t.order()
	if o == byRing {
		if u := t.pinned(c); u != nil {
			return u
		}
	}
	return c.first(o, t.place())
}

// order is the way in which the request looks for a new place.
func (t *Route) order() order {
	switch {
	case !t.r.affinity:
		return inTurn
	case t.surplus, t.req.Key.IsZero() && t.req.Response.IsZero():
		return lighter
	}
	return byRing
}

// place is where the ring starts.
func (t *Route) place() uint64 {
	if !t.req.Response.IsZero() && (t.req.Synthetic || t.req.Key.IsZero()) {
		return t.req.Response.Ring()
	}
	return t.req.Key.Ring()
}

// binds reports whether u becomes the place of the request's session: there is one, and it has no pin. Where a response
// led there, u must be a place for sessions as well.
func (t *Route) binds(c *choice, u *upstream.Upstream) bool {
	switch {
	case t.pin != 0, t.req.Key.IsZero(), t.order() != byRing:
		return false
	case u.Ref() == t.maker:
		return !t.req.Guessed && c.settles(u)
	}
	return true
}

func (t *Route) choice() choice {
	c := t.afresh()
	c.tried = t.tries[:t.n]
	return c
}

// afresh is the choice as if none had been tried.
func (t *Route) afresh() choice { return choice{r: t.r, v: t.v, model: t.req.Model} }

// made gives the upstream that made the response which the request is about. Nobody else has that response, so no
// drain and no leaving keeps the request away.
func (t *Route) made(c *choice) *upstream.Upstream {
	u := t.v.table.Resolve(t.maker)
	if u == nil || c.wasTried(u) || !c.answers(u) || !t.req.Guessed && !c.serves(u) {
		return nil
	}
	return u
}

// followsResponse reports whether the request goes where its response was made.
func (t *Route) followsResponse() bool {
	c := t.choice()
	return t.made(&c) != nil
}

// pinned gives the pinned upstream if this request can go there.
func (t *Route) pinned(c *choice) *upstream.Upstream {
	if t.pin == 0 {
		return nil
	}
	u := t.v.table.Resolve(t.pin)
	if u == nil || !c.open(u) {
		return nil
	}
	o := c.againstPin(u)
	if o == nothing {
		return u
	}
	if c.heard != nil {
		c.heard.pin = o
	}
	return nil
}

// judge tells what the last attempt means, before anything is rewritten.
func (t *Route) judge() Outcome {
	switch {
	case t.surplus:
		return Spilled
	case t.last.Ref() == t.maker && (t.req.Synthetic || t.req.Guessed || t.req.Key.IsZero()):
		return Pinned // the response stands for the session that the request does not name
	case t.req.Key.IsZero():
		return None
	case t.bound:
		return New
	case t.last.Ref() == t.pin:
		return Pinned
	}
	return Spilled
}

// Refused notes that the upstream of the last attempt refused the connection: for its sessions that is as if it
// were marked down.
func (t *Route) Refused() { t.refused = t.refused || t.last.Ref() == t.pin }

// Answered notes that the response head of the last attempt arrived, and settles the pin.
func (t *Route) Answered(status int, now time.Time) {
	key, to := t.req.Key, t.last.Ref()
	switch {
	case key.IsZero() || t.surplus || t.mine() && status >= 400:
		return
	case !t.mine():
		t.keep(now, recent)
	case t.confirm(now):
		return
	}
	if t.moves(status) && t.r.pins.Move(key, t.pin, to, now) {
		t.pin, t.outcome = to, Moved
	}
}

// confirm makes the pin that this request made a lasting one, to the upstream that answered, and reports whether that
// was still to do: another request may have taken the pin.
func (t *Route) confirm(now time.Time) bool {
	t.confirmed, t.touched = true, now
	if t.r.pins.Confirm(t.req.Key, t.pin, t.last.Ref(), t.req.Synthetic, now) {
		t.pin = t.last.Ref()
		return true
	}
	t.outcome = Spilled
	return false
}

// mine reports whether the pin is this request's to confirm or to take back.
func (t *Route) mine() bool { return t.bound && !t.confirmed }

// moves reports whether an answer of the last attempt makes the pin follow it: where its upstream is lost to the
// session, and where the conversation goes on with a response that another one made. What many conversations share
// follows none of them.
func (t *Route) moves(status int) bool {
	to := t.last.Ref()
	switch {
	case t.pin == 0, t.pin == to:
		return false
	case to == t.maker:
		c := t.afresh()
		return status < 400 && !t.req.Shared && !t.req.Guessed && c.settles(t.last)
	}
	return t.lost()
}

// holds reports whether u may serve the sessions of the request's model that are pinned to it, tried or not.
func (t *Route) holds(u *upstream.Upstream) bool {
	c := t.afresh()
	return c.holds(u)
}

// lost reports whether the pinned upstream is gone for its sessions, other than for a moment. Where sessions
// return home, only one that is no longer configured is.
func (t *Route) lost() bool {
	u := t.v.table.Resolve(t.pin)
	if u == nil {
		return true
	}
	return t.r.cfg.Return == Stay && (t.refused || !t.holds(u))
}

// Learn notes that the upstream of the last attempt has the response: it made it, or answered a request about it.
func (t *Route) Learn(response identity.Key, now time.Time) {
	if t.r.affinity {
		t.r.responses.Set(response, t.last.Ref(), now)
	}
}

// Outcome is what the request's affinity came to so far.
func (t *Route) Outcome() Outcome { return t.outcome }

// Surplus reports whether the request was one too many of a crowd.
func (t *Route) Surplus() bool { return t.surplus }

// Last is the upstream of the last attempt, nil before the first.
func (t *Route) Last() *upstream.Upstream { return t.last }

// recent is how old a use may be for a pin that need not be kept alive at the end of its request.
const recent = time.Second

// Touch keeps the pin of a long answer alive. It may be called as often as there are bytes.
func (t *Route) Touch(now time.Time) {
	if t.pin != 0 && !t.mine() {
		t.keep(now, t.r.pins.TTL()/4)
	}
}

// keep keeps the pin alive if its last use is older than age.
func (t *Route) keep(now time.Time, age time.Duration) {
	if t.pin != 0 && now.Sub(t.touched) > age {
		t.r.pins.Touch(t.req.Key, t.pin, t.touched, now)
		t.touched = now
	}
}

// End gives back what the request held: its place in the crowd, and the pin that it made if nobody answered it well.
func (t *Route) End(now time.Time) {
	if t.counted {
		t.r.crowds.leave(t.req.Key)
		t.counted = false
	}
	if t.mine() {
		t.r.pins.Drop(t.req.Key, t.pin, now)
		t.bound = false
		return
	}
	t.keep(now, recent)
}
