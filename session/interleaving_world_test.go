package session

import (
	"fmt"
	"time"

	"tether/session/balance"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/upstream"
	"tether/upstream/transport"
)

// world is a router over two upstreams, two sessions and two requests, all of them the real ones, beside what the test believes of them.
// A search drives it step by step.
type world struct {
	registry *upstream.Registry
	router   *Router
	now      time.Time
	rules    rules
	keys     [2]identity.Key // the home of session i is upstream i
	specs    [2]upstream.Spec
	absent   [2]bool // upstreams that the configuration does not have
	moved    int     // changes of an address so far
	requests [2]caller
	beliefs  map[*upstream.Upstream]*belief
	makers   [2]int // by session: 1 + the request whose own the pin is, because it has made the pin and no other uses it
	changes  int    // steps of the world besides those of requests
	begun    int    // requests so far
	faults   sabotage
	problems []string
}

// rules are the settings of a world.
type rules struct {
	back      Return
	placement balance.Placement
}

func (r rules) String() string { return fmt.Sprintf("return: %s, placement: %s", r.back, r.placement) }

// sabotage breaks a world on purpose, to show that the search notices.
type sabotage struct {
	keepPins   bool // a reload keeps the pins of upstreams that are gone
	keepMoved  bool // a pin that a request has rewritten is put back
	shyDrain   bool // an operator's hard drain arrives as a mere drain
	forgetful  bool // the router is not told that a connection was refused
	strayPins  bool // each answer moves the pin to the other upstream
	deafHealth bool // a probe that fails changes nothing
	wrongRule  bool // the judge takes return: stay for home, and the other way round
}

// phase is how far a request is.
type phase uint8

const (
	absent  phase = iota
	begun         // Next comes next
	waiting       // at an upstream, for its answer
	passing       // the answer is on its way to the client
)

// caller is one request, as package proxy drives its Route.
type caller struct {
	route   Route
	phase   phase
	session int
	pinned  *upstream.Upstream // where its session was pinned when it began
	left    *upstream.Upstream // where its session was pinned when it chose its upstream, as far as it knew
	refused *upstream.Upstream // what refused its connection
	given   bool               // an upstream has died over it
	from    *upstream.Upstream // where the pin was before the request moved it to to
	to      *upstream.Upstream
}

// idle is how long a session is silent before a drain moves it, pause how long the world waits at a time.
const (
	idle  = time.Minute
	pause = 2 * idle
)

var (
	worldStart  = time.Now()
	worldPrompt = prefill.New(prefill.Default())
)

func newWorld(r rules, faults sabotage) *world {
	cfg := Default()
	believed := r
	if faults.wrongRule {
		believed.back = map[Return]Return{Stay: Home, Home: Stay}[r.back]
	}
	cfg.Return, cfg.Balance.Placement = r.back, r.placement
	w := &world{
		registry: upstream.NewRegistry(nil), now: worldStart, rules: believed, faults: faults,
		router:  NewRouter(cfg, pins.NewMap(16, 24*time.Hour), pins.NewMap(16, ResponsesTTL), worldPrompt, func(int) int { return 0 }),
		beliefs: map[*upstream.Upstream]*belief{},
	}
	for i := range w.specs {
		w.specs[i] = upstream.Spec{Name: worldNames[i], Address: transport.Address{Network: "tcp", Dial: worldNames[i]}, Slot: i, Weight: 100}
	}
	w.reload()
	for i := range w.specs {
		w.probe(i, upstream.Up)
	}
	w.keys = worldKeys
	w.changes = 0
	return w
}

var worldNames = [2]string{"a", "b"}

// worldKeys has a session for each upstream as its home.
var worldKeys = func() (keys [2]identity.Key) {
	w := &world{registry: upstream.NewRegistry(nil), router: NewRouter(Default(), pins.NewMap(16, time.Hour), pins.NewMap(16, time.Hour), worldPrompt, nil), beliefs: map[*upstream.Upstream]*belief{}}
	for i := range w.specs {
		w.specs[i] = upstream.Spec{Name: worldNames[i], Slot: i, Weight: 100}
	}
	w.reload()
	for n := uint64(1); keys[0].IsZero() || keys[1].IsZero(); n++ {
		k := testKey(n)
		walk := w.router.view.Load().ring.Walk(k.Ring())
		keys[walk.Next(func(int) bool { return true })] = k
	}
	return keys
}()

// upstream is upstream i of the present table, nil without one.
func (w *world) upstream(i int) *upstream.Upstream {
	if m := w.registry.Table().Named(worldNames[i]); m != nil {
		return m.Upstream
	}
	return nil
}

// pinOf is where a session is pinned, nil without a pin.
func (w *world) pinOf(session int) *upstream.Upstream {
	ref, ok := w.router.pins.Peek(w.keys[session], w.now)
	if !ok {
		return nil
	}
	i := w.registry.Table().Index(ref)
	if i < 0 {
		w.fail("session %d is pinned to an upstream that is not configured", session)
		return nil
	}
	return w.registry.Table().Members[i].Upstream
}

// reload brings the specs of the upstreams that are not absent into force.
func (w *world) reload() {
	var specs []upstream.Spec
	for i := range w.specs {
		if !w.absent[i] {
			specs = append(specs, w.specs[i])
		}
	}
	gone, err := w.registry.Apply(specs)
	if err != nil {
		panic(err)
	}
	if w.faults.keepPins {
		gone = nil
	}
	if err := w.router.Use(w.registry.Table(), gone); err != nil {
		panic(err)
	}
	for _, m := range w.registry.Table().Members {
		if w.beliefs[m.Upstream] == nil {
			w.beliefs[m.Upstream] = &belief{}
		}
	}
}

// probe is the verdict of health on upstream i.
func (w *world) probe(i int, h upstream.Health) {
	u := w.upstream(i)
	w.beliefs[u].probed(h)
	if !w.faults.deafHealth || h == upstream.Up {
		if h != upstream.Up {
			u.ProbeFailed() // as package health says it of every probe that fails
		}
		u.SetHealth(h, "test")
	}
}

// begin begins request n, of a session.
func (w *world) begin(n, session int) {
	w.begun++
	c := &w.requests[n]
	c.phase, c.session, c.pinned = begun, session, w.pinOf(session)
	c.left, c.refused, c.given, c.from, c.to = nil, nil, false, nil, nil
	w.router.Start(&c.route, Request{Key: w.keys[session]}, w.now)
	w.makers[session] = 0
}

// choose lets the request choose its next upstream.
func (w *world) choose(n int) {
	c := &w.requests[n]
	before := choice{pin: w.upstreamOf(c, c.route.pin.to), tried: triedBy(c)}
	unpinned := w.pinOf(c.session) == nil
	u := c.route.Next(w.now)
	w.judgeChoice(c, before, u)
	if u == nil {
		w.give(n)
		return
	}
	pin := w.pinOf(c.session)
	c.phase, c.left = waiting, w.upstreamOf(c, c.route.pin.to)
	if before.pin != nil && c.route.pin.state == moved && pin == u {
		c.left = before.pin
	}
	switch {
	case unpinned && pin != nil:
		w.makers[c.session] = 1 + n
	case pin != nil && c.route.pin.to == pin.Ref() && w.makers[c.session] != 1+n && (pin == u || before.pin == nil):
		w.makers[c.session] = 0
		if c.route.pin.state == unconfirmed {
			w.makers[c.session] = 1 + n
		}
	}
}

// give gives up: the client gets an error.
func (w *world) give(n int) {
	w.requests[n].route.Unanswered(w.now)
	w.end(n)
}

func (w *world) end(n int) {
	c := &w.requests[n]
	c.route.End(w.now)
	c.phase = absent
}

// answer is an answer of the upstream that the request is at.
func (w *world) answer(n, status int) {
	c := &w.requests[n]
	if status >= 400 {
		c.route.Failed(0, w.now)
	}
	before, made := w.pinOf(c.session), c.route.pin.state == unconfirmed
	c.route.Answered(status, w.now)
	c.phase = passing
	w.spoil(c, before)
	if status < 400 {
		if made && w.pinOf(c.session) == c.route.Last() {
			w.makers[c.session] = 0
		}
		w.judgeAnswer(c)
		c.route.Touch(w.now)
		c.route.Generated(w.now)
	}
}

// spoil breaks what an answer has done, if the world is sabotaged.
func (w *world) spoil(c *caller, before *upstream.Upstream) {
	switch pin := w.pinOf(c.session); {
	case w.faults.keepMoved && before != nil && pin != before:
		w.router.pins.Set(w.keys[c.session], before.Ref(), w.now)
	case w.faults.strayPins && pin != nil:
		for _, m := range w.registry.Table().Members {
			if m.Upstream != pin {
				w.router.pins.Set(w.keys[c.session], m.Ref(), w.now)
			}
		}
	}
}

// refuse refuses the connection of the request.
func (w *world) refuse(n int) {
	c := &w.requests[n]
	u := c.route.Last()
	c.refused = u
	if !w.faults.forgetful {
		c.route.Refused()
	}
	u.Suspected("test")
	w.beliefs[u].suspected()
	c.route.Failed(0, w.now)
	c.phase = begun
}

// die cuts the connection before an answer. A second upstream gets the request, no third.
func (w *world) die(n int) {
	c := &w.requests[n]
	c.route.Failed(0, w.now)
	if c.given {
		w.give(n)
		return
	}
	c.given, c.phase = true, begun
}

// leaving answers that the upstream is shutting down. The last such answer goes to the client.
func (w *world) leaving(n int) {
	c := &w.requests[n]
	u := c.route.Last()
	u.SaidLeaving()
	w.beliefs[u].said()
	if c.route.More() {
		c.route.Failed(0, w.now)
		c.phase = begun
		return
	}
	w.answer(n, 500)
	w.end(n)
}

// failedProbe is a probe that fails, and does not change the verdict.
func (w *world) failedProbe(i int) {
	u := w.upstream(i)
	u.ProbeFailed()
	w.beliefs[u].confirmed = true
}

// expire is the time after which a leaving upstream that stays is no longer leaving.
func (w *world) expire(i int) {
	u := w.upstream(i)
	u.ExpireLeaving(time.Now().Add(time.Hour))
	b := w.beliefs[u]
	b.leaving, b.confirmed = false, false
}

// readdress gives upstream i another address: it becomes another one.
func (w *world) readdress(i int) {
	w.moved++
	w.specs[i].Address.Dial = fmt.Sprint(worldNames[i], w.moved)
	w.reload()
}

// drain is a drain of upstream i by its operator.
func (w *world) drain(i int, d drainKind) {
	u := w.upstream(i)
	w.beliefs[u].drain = d
	u.MoveNone()
	switch d {
	case undrained:
		u.Undrain()
	case drained:
		u.Drain(false)
	case drainedHard:
		u.Drain(!w.faults.shyDrain)
	case drainedIdle:
		u.MoveIdle(idle, w.now.Add(1000*time.Hour))
		u.Drain(false)
	case drainedOverdue:
		u.MoveIdle(idle, w.now)
		u.Drain(false)
	}
}

// triedBy are the upstreams that the request has tried.
func triedBy(c *caller) (tried []*upstream.Server) { return append(tried, c.route.candidates.tried...) }

// upstreamOf is the upstream of a Ref in the table of a request, nil for none.
func (w *world) upstreamOf(c *caller, ref upstream.Ref) *upstream.Upstream {
	return c.route.candidates.view.upstream(c.route.candidates.table.Index(ref))
}

func (w *world) fail(format string, a ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, a...))
}
