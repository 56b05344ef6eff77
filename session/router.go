package session

import (
	"sync"
	"sync/atomic"
	"time"

	"tether/ring"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/session/replicas"
	"tether/session/shared"
	"tether/upstream"
)

// Router gives each request its Route: the pin of its session if there is one, otherwise the place that the ring gives the
// session. It is safe for concurrent use.
type Router struct {
	// Replicas says whether this process is one of several that do not share pins. NewRouter sets it.
	Replicas *replicas.Detector
	// Shares receives what the router binds, moves and forgets, for other processes; nil for none. It must be set before the first request.
	Shares *shared.Queue

	pins *pins.Map
	// responses remembers which upstream stores which response. vLLM keeps responses in the memory of the server that
	// made them, so only that server can go on with one.
	responses *pins.Map
	crowds    *crowds
	estimates *prefill.Estimates
	intN      func(n int) int
	turn      atomic.Uint32 // of byLoad's ties, and of inTurn
	choices   atomic.Uint64 // of upstreams

	// choosing is held while a route chooses an upstream by load, until it has charged the upstream: otherwise requests that arrive
	// together would all choose the same one.
	choosing sync.Mutex

	mu   sync.Mutex // held to replace the view
	view atomic.Pointer[view]
}

// ResponsesTTL is how long the upstream of a stored response is remembered after the last use: as long as OpenAI keeps
// responses. vLLM keeps them as long as it runs.
const ResponsesTTL = 30 * 24 * time.Hour

// NewRouter returns a router without upstreams. sessions is the session map, and responses remembers where stored
// responses are. estimates knows the work that prompts are. intN draws a number of 0..n-1 for each call: rand.IntN, or in a simulation the method of a seeded
// generator.
func NewRouter(cfg Config, sessions, responses *pins.Map, estimates *prefill.Estimates, intN func(n int) int) *Router {
	r := &Router{pins: sessions, responses: responses, crowds: newCrowds(), Replicas: replicas.NewDetector(time.Now()), estimates: estimates, intN: intN}
	r.view.Store(newView(cfg, &upstream.Table{}, new(ring.Ring)))
	return r
}

// Configure applies new settings to the requests that begin from now on.
func (r *Router) Configure(cfg Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := *r.view.Load()
	v.cfg = cfg
	r.view.Store(&v)
}

// Use routes the requests that begin from now on over table. Pins to upstreams that are gone are dropped; all others
// stay. The error is ring.New's; then nothing has changed.
func (r *Router) Use(table *upstream.Table, gone []upstream.Ref) error {
	rg, err := ringOf(table)
	if err != nil {
		return err
	}
	for _, ref := range gone {
		r.pins.Retire(ref)
		r.responses.Retire(ref)
	}
	if len(gone) > 0 {
		r.Replicas.Lost(time.Now())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.view.Store(newView(r.view.Load().cfg, table, rg))
	return nil
}

// Check returns why the upstreams of specs cannot be used, nil if they can: Registry.Apply or Use would return that error.
func Check(specs []upstream.Spec) error {
	trial := upstream.NewRegistry(nil)
	if _, err := trial.Apply(specs); err != nil {
		return err
	}
	_, err := ringOf(trial.Table())
	return err
}

func ringOf(table *upstream.Table) (*ring.Ring, error) {
	slots := make([]ring.Slot, len(table.Members))
	for i, m := range table.Members {
		slots[i] = ring.Slot{Name: m.Name(), Number: m.Slot, Weight: m.Weight}
	}
	return ring.New(slots)
}

// Digest returns the digest of the ring.
func (r *Router) Digest() uint64 { return r.view.Load().ring.Digest() }

// Ready reports whether sessions find their servers: an upstream is up, if only for the sessions that are pinned to it,
// or all of them may be slower than probes wait.
func (r *Router) Ready() bool {
	c := candidates{view: r.view.Load()}
	for _, m := range c.table.Members {
		if m.State().Health() == upstream.Up {
			return true
		}
	}
	return c.failOpen()
}

// AnyKey returns the key of a session for a request that names no model, and the model of that key: the first known model
// under which the session has a pin, or the only known model. Otherwise both are zero: a wrong guess would keep the
// request from the upstreams of other models.
func (r *Router) AnyKey(id *identity.Identifier, sessionID []byte, now time.Time) (k identity.Key, model string) {
	models := r.Models()
	for _, model := range append(models, "") { // a body may name no model
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

// Unserved reports whether no upstream serves the model, up or down: the configuration assigns models to every upstream,
// and this one to none.
func (r *Router) Unserved(model []byte) bool {
	v := r.view.Load()
	return len(model) > 0 && !v.unrestricted && !v.assigned[string(model)]
}

// Models returns the models that some upstream serves, each once, in the order of the table.
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
