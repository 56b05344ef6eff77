package session

import (
	"time"

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
}

// pinState is the state of a pin, as one request sees it.
type pinState uint8

const (
	unpinned    pinState = iota
	followed             // the pin was there before, or another request made it
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
	if to, _, ok := p.pins.Get(p.key, now); ok {
		p.to, p.state = to, followed
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

// confirm makes the pin that this request made a lasting one, to the upstream that answered. It reports false if another
// request has taken the pin, which then stays as it is.
func (p *pin) confirm(to upstream.Ref, now time.Time) bool {
	p.state, p.used = followed, now
	if !p.pins.Confirm(p.key, p.to, to, p.synthetic, now) {
		return false
	}
	p.state, p.to = confirmed, to
	return true
}

// move rewrites the pin, unless it was rewritten or dropped meanwhile.
func (p *pin) move(to upstream.Ref, now time.Time) bool {
	if !p.pins.Move(p.key, p.to, to, now) {
		return false
	}
	p.to = to
	return true
}

// lookUp learns where other requests have moved the pin, if they have. It is no use of the pin.
func (p *pin) lookUp(now time.Time) {
	if to, ok := p.pins.Peek(p.key, now); ok {
		p.to = to
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
