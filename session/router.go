package session

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"tether/ring"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
)

// Router knows the way of every session: the pin if there is one, else the ring. It is shared.
type Router struct {
	cfg      Config
	affinity bool
	pins     *pins.Map
	// responses knows which upstream has which stored response. vLLM keeps them in the memory of the server that
	// made them, so nobody else can go on with one.
	responses *pins.Map
	crowds    *crowds
	view      atomic.Pointer[view]
	turn      atomic.Uint32 // rotation: for ties, and for all when affinity is off
	draws     atomic.Uint64 // state of the generator of random draws
}

// view is a table with the ring over it: member i of one is slot i of the other.
type view struct {
	table *upstream.Table
	ring  *ring.Ring
	// assigned are the models that the configuration names, nil where it names none.
	assigned map[string]bool
	// open tells that some member may serve others.
	open bool
}

func newView(table *upstream.Table, rg *ring.Ring) *view {
	v := &view{table: table, ring: rg, open: len(table.Members) == 0}
	for _, m := range table.Members {
		v.open = v.open || m.Assigned() == nil
		for _, model := range m.Assigned().All() {
			if v.assigned == nil {
				v.assigned = map[string]bool{}
			}
			v.assigned[model.ID] = true
		}
	}
	return v
}

// ResponsesTTL is how long the server of a stored response is remembered after the last use: as long as OpenAI keeps
// responses. vLLM keeps them as long as it runs.
const ResponsesTTL = 30 * 24 * time.Hour

// NewRouter makes a router over no upstreams, with room for pins and for where stored responses are. With affinity
// false it knows no sessions and sends requests round robin: the world without tether, for comparison.
func NewRouter(cfg Config, sessions, responses *pins.Map, affinity bool) *Router {
	r := &Router{cfg: cfg, affinity: affinity, pins: sessions, responses: responses, crowds: newCrowds(cfg.OpeningMaxInFlight)}
	r.view.Store(newView(&upstream.Table{}, new(ring.Ring)))
	r.draws.Store(rand.Uint64())
	return r
}

// Seed makes the draws that follow the same as after any other Seed of the same value: for simulations.
func (r *Router) Seed(seed uint64) { r.draws.Store(seed) }

// random draws a number below n: SplitMix64, a step of the state each.
func (r *Router) random(n int) int {
	x := r.draws.Add(0x9e3779b97f4a7c15)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	below, _ := bits.Mul64(x^x>>31, uint64(n))
	return int(below)
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
		r.responses.Retire(ref)
	}
	r.view.Store(newView(table, rg))
	return nil
}

// Digest is the digest of the ring now.
func (r *Router) Digest() uint64 { return r.view.Load().ring.Digest() }

// Ready reports whether sessions find their servers: while one is up, if only for its own sessions, or all may be
// slower than probes wait.
func (r *Router) Ready() bool {
	c := choice{r: r, v: r.view.Load()}
	for _, m := range c.v.table.Members {
		if m.State().Health() == upstream.Up {
			return true
		}
	}
	return c.failOpen()
}

// AnyKey is the key of a session for a request that names no model, and the model that it is under: the first known one
// under which the session has a pin, or the only one that there is. Else it is zero: a model that was only guessed would keep
// the request from servers of others.
func (r *Router) AnyKey(id *identity.Identifier, sessionID []byte, now time.Time) (k identity.Key, model string) {
	models := r.Models()
	for _, model := range append(models, "") { // a body need not name its model
		k := id.Key([]byte(model), sessionID)
		if _, ok := r.pins.Peek(k, now); ok {
			return k, model
		}
	}
	if len(models) != 1 {
		return identity.Key{}, ""
	}
	return id.Key([]byte(models[0]), sessionID), models[0]
}

// Unserved reports whether nobody is there who would serve the model, up or down: the configuration says of every
// upstream which models it serves, and names this one nowhere.
func (r *Router) Unserved(model []byte) bool {
	v := r.view.Load()
	return len(model) > 0 && !v.open && !v.assigned[string(model)]
}

// Models are the models that some upstream serves, each once, in the order of the table.
func (r *Router) Models() (ids []string) {
	seen := map[string]bool{}
	for _, m := range r.view.Load().table.Members {
		for _, model := range m.Models().All() {
			if !seen[model.ID] {
				seen[model.ID] = true
				ids = append(ids, model.ID)
			}
		}
	}
	return ids
}
