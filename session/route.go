package session

import (
	"time"

	"tether/session/balance"
	"tether/session/identity"
	"tether/session/shared"
	"tether/upstream"
)

// Request is what a Router needs to know about one request.
type Request struct {
	// Key is the key of the session, zero without one: then nothing is pinned.
	Key identity.Key
	// Synthetic is true if tether made the session's id up, Shared if many conversations may have the id, Subagent if a sub-agent sends
	// the request under the id of its family.
	Synthetic, Shared, Subagent bool
	// Response is the key of the stored response that the request is about or follows, zero for none. The upstream that
	// stores it comes before any pin. If that upstream is not known, a request without a session of its own starts at the
	// response's place in the ring. A request without Key and Response goes where the load is less.
	Response identity.Key
	// Model is the requested model, empty if it is unknown.
	Model []byte
	// Bytes is the size of the body besides its media, Media the number of pictures and recordings in it.
	Bytes int64
	Media int
	// Streams is true if the client asks for an answer that streams.
	Streams bool
	// FollowUp is true if the request goes on after an answer that this process has passed on if it is alone: the conversation's first one,
	// or the stored response.
	FollowUp bool
	// Continues is true if the request goes on with a conversation that has an answer.
	Continues bool
	// ModelGuessed is true if the request names no model: Key and Model then belong to one of several models that the
	// session may use. The request follows the pin, but the pin never follows a response.
	ModelGuessed bool
}

// ringKey returns the key that the ring places.
func (r *Request) ringKey() uint64 {
	if !r.Response.IsZero() && (r.Synthetic || r.Key.IsZero()) {
		return r.Response.Ring()
	}
	return r.Key.Ring()
}

// MaxTries is the greatest number of upstreams that one Route returns.
const MaxTries = 16

// Route is the upstreams that one request tries, one after another: Router.Start, then Next for each attempt, Refused or Answered after
// it, and End once, however the request ends. The upstream of the last attempt is charged with the request, and counts it in flight, from
// Next to Leave or End. A Route belongs to one goroutine, can be used for one request after another, and must not be copied before End.
type Route struct {
	router     *Router
	req        Request
	candidates candidates
	pin        pin
	storedAt   upstream.Ref // the upstream that stores the response which the request is about, 0 if unknown

	tries   [2]*upstream.Server // the first ones of candidates.tried
	last    int                 // index of the upstream of the last attempt
	outcome Outcome
	refused bool // the pinned upstream refused this request's connection
	served  bool // the last upstream sent the head of an answer below 400

	place place
	full  bool // no upstream was left, and one at its limit would have been
	waits bool // the upstream that stores the response is down, or has failed the request
	shed  bool // the request begins a conversation, and all upstreams are above session.shed

	visit
	away   balance.Reason
	moving bool // the pin follows a good answer, because of away

	sharing
}

// Start begins the route of a request.
func (r *Router) Start(t *Route, req Request, now time.Time) {
	r.begin(t, req, now)
	if !t.req.Response.IsZero() {
		t.storedAt, _, _ = r.responses.Get(req.Response, now)
	}
	if t.req.Key.IsZero() {
		noteFollowUp(t, now)
		return
	}
	if limit := t.candidates.cfg.crowdLimit(&t.req); limit > 0 && !isStored(t) {
		all, inside := r.crowds.enter(req.Key, limit)
		t.inFlight, t.surplus, t.entered = all, !inside, true
		if t.surplus {
			return
		}
	}
	t.pin.follow(now)
	t.candidates.silent = t.pin.last.Idle
	noteFollowUp(t, now)
	followHome(t, now)
}

// begin resets t to the beginning of a request's route.
func (r *Router) begin(t *Route, req Request, now time.Time) {
	v := r.view.Load()
	if !v.cfg.Affinity {
		req.Key, req.Response = identity.Key{}, identity.Key{}
	}
	if t.at != nil {
		panic("BUG: a route begins again before its end")
	}
	*t = Route{}
	t.router, t.req, t.shared = r, req, req.Shared
	t.candidates.view, t.candidates.model, t.candidates.now = v, req.Model, now
	model := r.estimates.Of(req.Model)
	t.candidates.tried = t.tries[:0]
	t.candidates.turn = r.choices.Load() / turnUnit * maxLooks
	t.prompt, t.candidates.rate, t.candidates.byLoad = model.Tokens(req.Bytes, req.Media), model.Rate(), isByLoad(v.cfg.Balance.Placement, r)
	if t.candidates.shares = r.Shares != nil; t.candidates.shares && req.Continues {
		t.candidates.kept = balance.Kept(t.prompt)
	}
	t.pin.pins, t.pin.key, t.pin.synthetic = r.pins, req.Key, req.Synthetic
}

// Next returns the upstream for the next attempt, or nil if there is no other. It never returns two upstreams of one
// server. The request has a place at the upstream's server until the following Next or End.
func (t *Route) Next(now time.Time) *upstream.Upstream {
	if len(t.candidates.tried) == MaxTries {
		return nil
	}
	t.candidates.now = now
	if t.candidates.byLoad {
		t.router.choosing.Lock()
		defer t.router.choosing.Unlock()
	}
	t.place.leave()
	i, p := t.find()
	if t.shed = i >= 0 && mustShed(t, p); t.shed {
		return nil
	}
	for i >= 0 && !t.place.take(t.candidates.upstream(i).Server) { // other requests have taken the last place, so that find changes its mind
		if p == serveStored {
			t.full = true
			return nil
		}
		i, p = t.find()
	}
	if i < 0 {
		t.full = !t.waits && t.candidates.someAtLimit(t.pin.to)
		return nil
	}
	if t.shouldBind(i, p) {
		t.pin.bind(t.candidates.ref(i), now)
		// The first of several concurrent requests of a new session chooses for all of them.
		if first := t.candidates.at(t.pin.to); p != serveStored && first >= 0 && t.place.take(t.candidates.upstream(first).Server) {
			i = first
		}
	}
	t.begin(&t.candidates, i, t.pin.cachedAt(&t.candidates, i), t.req.Streams, t.router.turnOf(t.candidates.view, i))
	if t.pin.to == t.candidates.ref(i) {
		t.pin.note(t.turn, now)
	}
	if t.candidates.byLoad && p != serveStored && t.shouldMove(i, 200) {
		if t.pin.move(t.candidates.ref(i), t.turn, now) { // so that other requests of the session follow
			tell(t)
		}
	}
	u := t.candidates.upstream(i)
	t.candidates.tried = append(t.candidates.tried, u.Server)
	t.last, t.outcome = i, t.outcomeAt(i)
	return u
}

// More reports whether Next would return an upstream.
func (t *Route) More() bool { return len(t.candidates.tried) < MaxTries && t.candidates.exists() }

// find returns the upstream that the request goes to as things are, -1 for none, and the purpose that it is eligible for.
// Without an upstream p is the last purpose that was tried.
func (t *Route) find() (i int, p purpose) {
	t.away, t.moving = balance.Stayed, false
	if at, o := t.stored(); at >= 0 {
		if t.waits = o != nothing; t.waits {
			return -1, serveStored
		}
		return at, serveStored
	}
	o := t.order()
	if o == byRing {
		if i = t.pin.find(&t.candidates); i >= 0 {
			at, why := follow(&t.candidates, i, &t.pin)
			if why == balance.Stayed {
				return at, servePinned
			}
			t.away, t.moving = why, true
			return at, newPlace
		}
	}
	i, p = t.router.place(&t.candidates, placeOrder(&t.candidates, o, t.pin.to), t.req.ringKey())
	if i >= 0 && o == byRing {
		t.away = whyAway(&t.candidates, i, &t.pin, t.req.ringKey())
	}
	return i, p
}

// order is the way in which the request looks for a new place.
func (t *Route) order() order {
	switch {
	case !t.candidates.cfg.Affinity:
		return inTurn
	case t.surplus, t.req.Key.IsZero() && t.req.Response.IsZero():
		return byLoad
	}
	return byRing
}

// shouldBind reports whether upstream i, which is eligible for p, becomes the place of the request's session: the session
// has no pin yet. If a response led the request to i, i must be eligible for new sessions as well.
func (t *Route) shouldBind(i int, p purpose) bool {
	switch {
	case t.pin.to != 0, t.req.Key.IsZero(), t.order() != byRing:
		return false
	case p == serveStored:
		return !t.req.ModelGuessed && t.candidates.eligible(i, takeOver)
	}
	return true
}

// outcomeAt is the outcome of an attempt at upstream i, before a pin moves.
func (t *Route) outcomeAt(i int) Outcome {
	switch {
	case t.surplus:
		return Spilled
	case t.candidates.ref(i) == t.storedAt && (t.req.Synthetic || t.req.ModelGuessed || t.req.Key.IsZero()):
		return Pinned // the response stands for the session, which the request does not name
	case t.req.Key.IsZero():
		return None
	case t.pin.madeHere():
		return New
	case t.candidates.ref(i) == t.pin.to && t.pin.state == moved:
		return Moved
	case t.candidates.ref(i) == t.pin.to:
		return Pinned
	}
	return Spilled
}

// Refused records that the upstream of the last attempt refused the connection. For the sessions that are pinned to it
// that has the effect of a probe that found it down.
func (t *Route) Refused() { t.refused = t.refused || t.candidates.ref(t.last) == t.pin.to }

// Answered records that the upstream of the last attempt sent a response head, and settles the pin and the outcome.
func (t *Route) Answered(status int, now time.Time) {
	to := t.candidates.ref(t.last)
	t.served = status < 400
	if status == 101 {
		t.tunneled(now)
	}
	switch {
	case t.req.Key.IsZero() || t.surplus:
		return
	case t.pin.state != unconfirmed:
		t.pin.refresh(now, recent)
	case status >= 400:
		return
	case t.pin.confirm(to, t.turn, now):
		tell(t)
		return
	}
	if t.shouldMove(t.last, status) && t.pin.move(to, t.turn, now) {
		tell(t)
		t.outcome = Moved
		return
	}
	t.settle(now)
}

// Unanswered records that no upstream answered, and settles the outcome. It reports whether Next returned none because servers are at their
// limits, because new conversations are refused, or because the upstream is down that stores the response.
func (t *Route) Unanswered(now time.Time) (full, shed, waits bool) {
	if len(t.candidates.tried) > 0 && !t.req.Key.IsZero() && !t.surplus {
		if t.pin.moveBack(now) {
			tell(t)
		}
		t.settle(now)
	}
	return t.full, t.shed, t.waits
}

// settle makes the outcome true at now: other requests of the session may have moved the pin since Next. They do that if the
// pinned upstream is lost to the session, so a request that follows its pin to an eligible upstream does not look the pin up.
func (t *Route) settle(now time.Time) {
	all := t.candidates.ignoringTried()
	if t.outcome == Pinned && t.candidates.ref(t.last) == t.pin.to && all.eligible(t.last, stayPinned) {
		return
	}
	t.pin.lookUp(now)
	t.outcome = t.outcomeAt(t.last)
}

// shouldMove reports whether the pin follows an answer of upstream i: if the pinned upstream is lost to the session, or if
// the conversation goes on with a response that i stores. The pin of an id that many conversations share follows no
// response.
func (t *Route) shouldMove(i, status int) bool {
	to := t.candidates.ref(i)
	if t.pin.to == 0 || t.pin.to == to {
		return false
	}
	all := t.candidates.ignoringTried()
	if to == t.storedAt {
		return status < 400 && !t.req.Shared && !t.req.ModelGuessed && all.eligible(i, takeOver)
	}
	if t.moving {
		return status < 400
	}
	at := all.table.Index(t.pin.to)
	if at < 0 {
		return false // a request that knows a newer table has moved the pin: the pins of a removed upstream are gone
	}
	return all.cfg.Return == Stay && (t.refused || !all.eligible(at, stayPinned))
}

// Learn records that the upstream of the last attempt stores the response: it made the response, or answered a request
// about it.
func (t *Route) Learn(response identity.Key, now time.Time) {
	if !t.candidates.cfg.Affinity {
		return
	}
	t.router.responses.Set(response, t.candidates.ref(t.last), now)
	if q := t.router.Shares; q != nil {
		q.Add(&shared.Change{Sighting: sightingAt(shared.Subject{Key: response, Response: true}, t.candidates.upstream(t.last))})
	}
}

// Outcome returns the request's outcome so far.
func (t *Route) Outcome() Outcome { return t.outcome }

// Away says why the request did not go to the pin or the home of its session.
func (t *Route) Away() balance.Reason {
	if t.outcome == Pinned || t.outcome == None {
		return balance.Stayed
	}
	return t.away
}

// MovedFrom returns the upstream that the session of t was pinned to before t moved it, nil if t did not move it or the upstream is gone.
func MovedFrom(t *Route) *upstream.Upstream {
	if t.outcome != Moved || t.pin.state != moved {
		return nil
	}
	return t.candidates.upstream(t.candidates.table.Index(t.pin.from))
}

// Last returns the upstream of the last attempt, nil before the first one.
func (t *Route) Last() *upstream.Upstream {
	if len(t.candidates.tried) == 0 {
		return nil
	}
	return t.candidates.upstream(t.last)
}

// Touch keeps the pin of a long answer alive. It may be called as often as bytes arrive.
func (t *Route) Touch(now time.Time) {
	if t.pin.to != 0 {
		t.pin.refresh(now, t.pin.pins.TTL()/4)
	}
}

// Leave records that the request is over at the upstream of the last attempt.
func (t *Route) Leave(now time.Time) {
	t.place.leave()
	t.visit.end(now)
}

// End releases what the request holds: its charge, its place at a server and in the crowd, and the pin that it made unless an upstream
// confirmed it.
func (t *Route) End(now time.Time) {
	t.Leave(now)
	if t.entered {
		t.router.crowds.leave(t.req.Key, !t.surplus)
		t.entered = false
	}
	t.pin.release(now)
}
