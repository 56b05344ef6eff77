package session

import (
	"sync/atomic"
	"time"

	"tether/ring"
	"tether/upstream"
)

// Router knows the way of every session: the pin if there is one, else the ring. It is shared.
type Router struct {
	cfg      Config
	affinity bool
	pins     *Map
	crowds   *crowds
	view     atomic.Pointer[view]
	turn     atomic.Uint32 // rotation: for ties, and for all when affinity is off
}

// view is a table with the ring over it: member i of one is slot i of the other.
type view struct {
	table *upstream.Table
	ring  *ring.Ring
}

// NewRouter makes a router over no upstreams. With affinity false it knows no sessions and sends requests round
// robin: the world without tether, for comparison.
func NewRouter(cfg Config, pins *Map, affinity bool) *Router {
	r := &Router{cfg: cfg, affinity: affinity, pins: pins, crowds: newCrowds(cfg.OpeningMaxInFlight)}
	r.view.Store(&view{table: &upstream.Table{}, ring: new(ring.Ring)})
	return r
}

// Use places sessions over table from now on. Pins to upstreams that are gone are dropped; others stay. The error
// is ring.New's, and nothing has changed then.
func (r *Router) Use(table *upstream.Table, gone []upstream.Ref) error {
	slots := make([]ring.Slot, len(table.Members))
	for i, m := range table.Members {
		slots[i] = ring.Slot{Name: m.Name(), Number: m.Slot, Weight: m.Weight}
	}
	rg, err := ring.New(slots)
	if err != nil {
		return err
	}
	for _, ref := range gone {
		r.pins.Retire(ref)
	}
	r.view.Store(&view{table: table, ring: rg})
	return nil
}

// Digest is the digest of the ring now.
func (r *Router) Digest() uint64 { return r.view.Load().ring.Digest() }

// Ready reports whether a new session would find a place now.
func (r *Router) Ready() bool {
	c := choice{r: r, v: r.view.Load()}
	return c.first(inTurn, 0) != nil
}

// KnownModel gives the key of the session under the first known model that it has a pin under: for requests that
// name no model.
func (r *Router) KnownModel(id *Identifier, sessionID []byte, now time.Time) (k Key, ok bool) {
	for _, m := range r.view.Load().table.Members {
		for _, model := range m.Models().All() {
			k = id.Key([]byte(model.ID), sessionID)
			if _, ok := r.pins.Peek(k, now); ok {
				return k, true
			}
		}
	}
	k = id.Key(nil, sessionID)
	_, ok = r.pins.Peek(k, now)
	return k, ok
}
