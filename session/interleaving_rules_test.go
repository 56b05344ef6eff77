package session

import (
	"slices"

	"tether/upstream"
)

// What a test believes of an upstream, from what has happened to it, and the rules that it holds routes against. Nothing here asks the code
// that is tested whether an upstream is eligible.

// belief is what has happened to an upstream.
type belief struct {
	health                      upstream.Health
	suspect, leaving, confirmed bool
	drain                       drainKind
}

// drainKind is the drain of an upstream by its operator.
type drainKind uint8

const (
	undrained      drainKind = iota
	drained                  // no new sessions
	drainedHard              // and pinned sessions move
	drainedIdle              // and sessions that were silent for a while move
	drainedOverdue           // and all move, because the drain has lasted long enough
)

func (b *belief) probed(h upstream.Health) {
	switch {
	case h != upstream.Up:
		b.confirmed = b.leaving
	case b.health != upstream.Up:
		b.leaving, b.confirmed = false, false
	}
	b.health, b.suspect = h, false
}

func (b *belief) suspected() {
	if b.health != upstream.Down {
		b.suspect = true
	}
}

// said notes that the upstream said that it is shutting down.
func (b *belief) said() { b.leaving, b.confirmed = true, b.leaving }

// words are the words of the state that an upstream with this belief must have.
func (b *belief) words() string {
	s := [...]string{"unknown", "up", "down", "down (timeouts)"}[b.health]
	for _, w := range []struct {
		holds bool
		word  string
	}{{b.suspect, ", suspect"}, {b.leaving, ", leaving"}, {b.drain == drainedHard, ", draining hard"}, {b.drain != undrained && b.drain != drainedHard, ", draining"}} {
		if w.holds {
			s += w.word
		}
	}
	return s
}

// table is the upstreams that a request knows of.
func (c *caller) table() []upstream.Member { return c.route.candidates.table.Members }

// isUp reports whether an upstream answers, as far as is known.
func (w *world) isUp(c *caller, u *upstream.Upstream) bool {
	timedOut := !slices.ContainsFunc(c.table(), func(m upstream.Member) bool { return w.beliefs[m.Upstream].health != upstream.TimedOut })
	return w.beliefs[u].health == upstream.Up || timedOut
}

// takes reports whether an upstream is a new place for a session: for the better ones nothing speaks against it.
func (w *world) takes(c *caller, u *upstream.Upstream, better bool) bool {
	b := w.beliefs[u]
	if better && (b.health != upstream.Up || b.suspect || b.leaving) {
		return false
	}
	return b.drain == undrained && w.isUp(c, u)
}

// keeps reports whether an upstream serves the sessions that are pinned to it. The request has tried some servers before.
func (w *world) keeps(c *caller, u *upstream.Upstream, tried []*upstream.Server) bool {
	b := w.beliefs[u]
	switch {
	case b.drain == drainedHard, b.drain == drainedOverdue, b.drain == drainedIdle && c.route.candidates.silent >= idle:
		return false
	case b.confirmed:
		elsewhere := slices.ContainsFunc(c.table(), func(m upstream.Member) bool {
			return m.Upstream != u && !slices.Contains(tried, m.Server) && w.takes(c, m.Upstream, true)
		})
		return !elsewhere && w.isUp(c, u)
	}
	return w.isUp(c, u)
}

// isLost reports whether an upstream is lost to the session of a request that is pinned to it.
func (w *world) isLost(c *caller, u *upstream.Upstream) bool {
	known := slices.ContainsFunc(c.table(), func(m upstream.Member) bool { return m.Upstream == u }) // otherwise its table is older than the pin
	return w.rules.back == Stay && known && (c.refused == u || !w.keeps(c, u, nil))
}

// choice is what a request knows before it chooses an upstream.
type choice struct {
	pin   *upstream.Upstream
	tried []*upstream.Server
}

// judgeChoice says what is wrong with the upstream that a request has chosen, nil for none.
func (w *world) judgeChoice(c *caller, before choice, u *upstream.Upstream) {
	untried := func(m *upstream.Upstream) bool { return !slices.Contains(before.tried, m.Server) }
	canStay := func(m *upstream.Upstream) bool { return m != nil && untried(m) && w.keeps(c, m, before.tried) }
	place, better := false, false
	for _, m := range c.table() {
		place = place || untried(m.Upstream) && w.takes(c, m.Upstream, false)
		better = better || untried(m.Upstream) && w.takes(c, m.Upstream, true)
	}
	now := w.pinOf(c.session)
	switch {
	case u == nil && (place || canStay(before.pin)):
		w.fail("a request finds no upstream, although there is one")
	case u == nil:
	case !untried(u):
		w.fail("a request goes to %s again", u.Name())
	case canStay(before.pin) && u != before.pin:
		w.fail("a request goes to %s, although its session is pinned to %s, which serves it", u.Name(), before.pin.Name())
	case (u == before.pin || u == now) && w.keeps(c, u, before.tried):
	case !w.takes(c, u, false):
		w.fail("a request goes to %s, which is %s", u.Name(), w.beliefs[u].words())
	case better && !w.takes(c, u, true):
		w.fail("a request goes to %s, which is %s, although another one is better", u.Name(), w.beliefs[u].words())
	}
}

// judgeAnswer says what is wrong with the pin and the outcome once an upstream has answered a request well.
func (w *world) judgeAnswer(c *caller) {
	at, pin, outcome := c.route.Last(), w.pinOf(c.session), c.route.Outcome()
	switch {
	case pin == nil: // an operator or a reload has dropped it meanwhile
	case outcome == Spilled && pin == at:
		w.fail("the request is spilled, and its session is pinned to %s, which answered", at.Name())
	case outcome == None, (outcome == New || outcome == Moved) && pin != at:
		w.fail("the request is %s, and its session is pinned to %s and not to %s, which answered", outcome, pin.Name(), at.Name())
	case outcome == Pinned && pin != at && c.pinned != at && c.left != at:
		w.fail("the request is pinned, and its session never was pinned to %s", at.Name())
	}
	if pin != nil && pin != at && pin == c.left && c.to == nil && w.registry.Table().Index(at.Ref()) >= 0 && w.isLost(c, pin) {
		w.fail("a session that %s serves stays pinned to %s, which is %s", at.Name(), pin.Name(), w.beliefs[pin].words())
	}
}

// pinned is the pin of a session before a step.
type pinned struct {
	at *upstream.Upstream
	// own is true if the request of the step has made the pin, and no other request uses it: a first pin follows its request. If such
	// a pin goes, and another request makes it again, it is the own pin of both.
	own bool
}

func (w *world) pinned(n, session int) pinned {
	maker := w.makers[session]
	return pinned{w.pinOf(session), n >= 0 && (maker == 1+n || maker != 0 && w.requests[n].route.pin.state == unconfirmed)}
}

// judgeMove says what is wrong with a change of a session's pin in a step. c is the request that the step belongs to, nil for none.
func (w *world) judgeMove(s *step, session int, c *caller, before pinned, after *upstream.Upstream) {
	if before.at == after {
		return
	}
	if c == nil || c.session != session {
		gone := before.at != nil && w.registry.Table().Index(before.at.Ref()) < 0
		if !(s.byHand && s.session == session || after == nil && gone) {
			w.fail("session %d moves from %s to %s, and no request of it did that", session, name(before.at), name(after))
		}
		return
	}
	switch last := c.route.Last(); {
	case after == nil && !before.own:
		w.fail("session %d loses its pin to %s", session, before.at.Name())
	case after == nil:
	case before.at == nil && after != last:
		w.fail("session %d is pinned to %s, and its request went to %s", session, after.Name(), name(last))
	case before.at == nil:
	case after == c.from && before.at == c.to && last == before.at: // the request takes back what it did
		c.from, c.to = nil, nil
	case after != last:
		w.fail("session %d moves from %s to %s, and its request went to %s", session, before.at.Name(), after.Name(), name(last))
	case !before.own && !w.isLost(c, before.at):
		w.fail("session %d moves from %s to %s without a reason", session, before.at.Name(), after.Name())
	default:
		c.from, c.to = before.at, after
	}
}

// judgeStates says which upstream is not in the state that follows from what happened to it, and what adds up wrongly.
func (w *world) judgeStates() {
	var inFlight [2]int64
	busy := 0
	for i := range w.requests {
		c := &w.requests[i]
		if c.phase != absent {
			busy++
		}
		for k := range inFlight {
			if c.route.at != nil && c.route.at == w.upstream(k) {
				inFlight[k]++
			}
		}
	}
	for i, n := range inFlight {
		u := w.upstream(i)
		if u == nil {
			continue
		}
		if got, want := u.State().Words(), w.beliefs[u].words(); got != want || u.State().LeavingConfirmed() != w.beliefs[u].confirmed {
			w.fail("%s is %s, want %s", u.Name(), got, want)
		}
		if u.InFlight() != n {
			w.fail("%s counts %d requests in flight, want %d", u.Name(), u.InFlight(), n)
		}
		if q := u.Queue(w.now); busy == 0 && q.Tokens != 0 {
			w.fail("%s is charged with %d tokens without a request", u.Name(), q.Tokens)
		}
	}
	for s := range w.keys {
		if all, _ := w.router.crowds.look(w.keys[s], 1); all != 0 && busy == 0 {
			w.fail("%d requests of session %d are counted, and there is none", all, s)
		}
	}
}
