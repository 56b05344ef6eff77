package session

import (
	"time"

	"tether/ring"
	"tether/session/balance"
	"tether/session/pins"
	"tether/upstream"
	"tether/upstream/load"
)

// visit is a request at an upstream: the upstream counts it in flight and is charged with its prompt. The zero value is nowhere.
type visit struct {
	prompt  int64              // of the request, in tokens
	at      *upstream.Upstream // nil for nowhere
	charged load.Charge
	idle    bool // the upstream had nothing to compute when the last visit began
	tunnel  bool
	turn    pins.Turn // that the request is at the last upstream, for the session's pin
}

// begin begins a visit of upstream i, which has cached tokens of the prompt, and ends the one before.
func (v *visit) begin(c *candidates, i int, cached int64, streams bool, turn uint64) {
	v.end(c.now)
	m := &c.table.Members[i]
	var pace time.Duration
	if !streams {
		if pace = m.Pace(); pace == 0 {
			pace = unknownPace
		}
	}
	work := balance.Work(v.prompt, cached)
	v.charged = load.Charge{Work: work, Streams: streams, Rate: c.rate, Patience: balance.Patience(work, c.rate, pace), Turn: turn}
	mark, wasIdle := m.Charge(&v.charged, c.now)
	v.idle = wasIdle && m.Others(c.now).Tokens == 0
	v.turn = pins.Turn{Prompt: v.prompt, Mark: mark}
	m.Begin()
	v.at = m.Upstream
}

// FoundIdle reports whether the upstream of the last attempt had no prompt to compute when the request was sent there, as far as this
// process knows, and those that tell it of theirs. Prompts that arrive later do not slow the request down: vLLM computes prompts in the order of their arrival.
func (v *visit) FoundIdle() bool { return v.idle }

// Generated records that bytes arrived at now which the upstream generated: it has computed the prompt. It may be called as often as
// they arrive.
func (v *visit) Generated(now time.Time) {
	if v.at != nil {
		v.charged.Settle(now)
		v.at.Heard(now)
	}
}

// tunneled records that the request has become a tunnel, which is no work in itself however long it is open.
func (v *visit) tunneled(now time.Time) {
	if v.Generated(now); v.at != nil && !v.tunnel {
		v.tunnel = true
		v.at.Tunnel(1)
	}
}

func (v *visit) end(now time.Time) {
	if v.tunnel {
		v.tunnel = false
		v.at.Tunnel(-1)
	}
	if v.at != nil {
		v.charged.Settle(now)
		v.at.End()
		v.at = nil
	}
}

// turnUnit is the unit of turns, so that fractions of them count.
const turnUnit = 1 << 8

// turnOf numbers the choice of upstream i. One of less than the full weight counts as chosen later, so that of idle upstreams it is taken as
// much less often.
func (r *Router) turnOf(v *view, i int) uint64 {
	turn, weight := r.choices.Add(turnUnit), v.table.Members[i].Weight
	if weight > 0 && v.places > 1 {
		turn += uint64(turnUnit * (ring.FullWeight - weight) * (v.places - 1) / weight)
	}
	return turn
}
