package session

import (
	"time"

	"tether/session/balance"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
)

// pin is the pin of a request's session: what the request knows of it, and what the request does to it.
type pin struct {
	pins      *pins.Map
	key       identity.Key
	synthetic bool

	state pinState
	to    upstream.Ref // 0 without a pin
	used  time.Time    // when this request last used the pin or kept it alive
	last  pins.Turn    // the session's turn before this request, at to; zero if it is unknown
	from  upstream.Ref // where the pin was before this request moved it
	first pins.Turn    // the session's turn before this request, at from
}

// pinState is the state of a pin, as one request sees it.
type pinState uint8

const (
	unpinned    pinState = iota
	followed             // the pin was there before, or another request made it
	moved                // this request has moved the pin, before its upstream has answered
	unconfirmed          // this request made the pin, and no upstream has answered yet
	confirmed            // this request made the pin, and an upstream has answered
)

// recent is the age of a use up to which the pin is not refreshed at the end of its request.
const recent = time.Second

// madeHere reports whether this request made the pin.
func (p *pin) madeHere() bool { return p.state >= unconfirmed }

// follow uses the pin, if there is one.
func (p *pin) follow(now time.Time) {
	p.used = now
	if to, last, ok := p.pins.Get(p.key, now); ok {
		p.to, p.last, p.state = to, last, followed
	}
}

// bind pins the session to an upstream. If another request was faster, this one follows the other's pin.
func (p *pin) bind(to upstream.Ref, now time.Time) {
	var bound bool
	p.to, bound = p.pins.Bind(p.key, to, p.synthetic, now)
	p.state = followed
	if bound {
		p.state = unconfirmed
	}
}

// cachedAt returns how many tokens of the session's last prompt upstream i has in its cache, as far as tether knows.
func (p *pin) cachedAt(c *candidates, i int) int64 {
	if c.ref(i) != p.to {
		return 0
	}
	if p.last.Prompt == 0 || c.shares {
		return max(p.last.Prompt, c.kept)
	}
	m := &c.table.Members[i]
	if c.byLoad && balance.IsGone(m.ChargedSince(p.last.Mark), m.KVCapacity()) {
		return 0
	}
	return p.last.Prompt
}

// find returns the upstream that the session is pinned to, -1 if it cannot serve the request. Another request of the session may have
// moved the pin meanwhile.
func (p *pin) find(c *candidates) int {
	i := c.at(p.to)
	if i < 0 && p.to != 0 && c.byLoad {
		p.lookUp(c.now)
		i = c.at(p.to)
	}
	return i
}

// note notes the turn that this request is, at the upstream of the pin.
func (p *pin) note(turn pins.Turn, now time.Time) {
	p.pins.Note(p.key, p.to, turn, p.state != unconfirmed, now)
}

// forget undoes note for a turn that the upstream of the pin has refused, unless another request has noted one since.
func (p *pin) forget(turn pins.Turn, now time.Time) {
	if p.pins.Last(p.key, p.to, now) == turn {
		p.note(p.last, now)
	}
}

// confirm makes the pin that this request made a lasting one, to the upstream that answered this turn. It reports false if another
// request has taken the pin, which then stays as it is.
func (p *pin) confirm(to upstream.Ref, turn pins.Turn, now time.Time) bool {
	p.state, p.used = followed, now
	if !p.pins.Confirm(p.key, p.to, to, p.synthetic, now) {
		return false
	}
	p.state = confirmed
	if p.to != to {
		p.to = to
		p.note(turn, now)
	}
	return true
}

// move rewrites the pin to the upstream that answered this turn, unless it was rewritten or dropped meanwhile.
func (p *pin) move(to upstream.Ref, turn pins.Turn, now time.Time) bool {
	if !p.pins.Move(p.key, p.to, to, now) {
		return false
	}
	if p.state == followed {
		p.state, p.from, p.first = moved, p.to, p.last
	}
	p.to, p.last = to, pins.Turn{}
	p.refresh(now, 0)
	p.note(turn, now)
	return true
}

// moveBack undoes the moves of this request, unless another request has moved the pin meanwhile: the upstream has refused it. It reports
// whether there was one.
func (p *pin) moveBack(now time.Time) bool {
	if p.state != moved || !p.pins.Move(p.key, p.to, p.from, now) {
		return false
	}
	p.to, p.last, p.state = p.from, p.first, followed
	p.refresh(now, 0)
	p.note(p.last, now)
	return true
}

// lookUp learns where other requests have moved the pin, if they have. It is no use of the pin.
func (p *pin) lookUp(now time.Time) {
	if to, ok := p.pins.Peek(p.key, now); ok && to != p.to {
		p.to, p.last, p.state = to, pins.Turn{}, followed
	}
}

// refresh keeps a lasting pin alive if its last use is older than age.
func (p *pin) refresh(now time.Time, age time.Duration) {
	if p.state != unpinned && p.state != unconfirmed && now.Sub(p.used) > age {
		p.pins.Touch(p.key, p.to, p.used, now)
		p.used = now
	}
}

// release ends the request's use of the pin. A pin that no upstream confirmed goes.
func (p *pin) release(now time.Time) {
	if p.state == unconfirmed {
		p.pins.Drop(p.key, p.to, now)
		p.state = followed
		return
	}
	p.refresh(now, recent)
}
