package main

import (
	"fmt"

	"tether/session"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/upstream"
)

// key is the key of a conversation's session.
type key = identity.Key

// route is the way of a request through the real router.
type route = session.Route

// tether is the real router with its pins and its ring.
type tether struct {
	router *session.Router
	ids    *identity.Identifier
	pins   *pins.Map
	table  *upstream.Registry

	bytesPerToken float64 // as the router estimates it
}

// newTether returns a router over the servers of the registry.
func newTether(cfg session.Config, rate float64, intN func(n int) int) (*tether, error) {
	ids := identity.Default()
	identifier, err := identity.NewIdentifier(&ids, &identity.Models{}, nil)
	if err != nil {
		return nil, err
	}
	p := pins.Default()
	known := prefill.New(prefill.Config{PrefillRate: map[string]float64{model: rate}})
	sessions := pins.NewMap(p.Max, p.TTL)
	router := session.NewRouter(cfg, sessions, pins.NewMap(1000, p.TTL), known, intN)
	return &tether{router: router, ids: identifier, pins: sessions, table: upstream.NewRegistry(nil), bytesPerToken: known.Of([]byte(model)).BytesPerToken()}, nil
}

// model is the model of all requests.
const model = "model"

// resize sets the number of servers. New ones are up.
func (t *tether) resize(servers int) ([]upstream.Member, error) {
	specs := make([]upstream.Spec, servers)
	for n := range specs {
		specs[n] = upstream.Spec{Name: fmt.Sprint("vllm-", n), Slot: n, Weight: 100}
	}
	gone, err := t.table.Apply(specs)
	if err != nil {
		return nil, err
	}
	table := t.table.Table()
	for _, m := range table.Members {
		if m.State().Health() == upstream.Unknown {
			m.SetHealth(upstream.Up, "simulated")
		}
	}
	return table.Members, t.router.Use(table, gone)
}

// keyOf returns the key of conversation n.
func (t *tether) keyOf(seed uint64, n int) key {
	return t.ids.Key([]byte(model), fmt.Appendf(nil, "conversation-%d-%d", seed, n))
}

// byRouter is the policy of the real router.
func byRouter(w *world, r *request) *server {
	r.route = new(route)
	n := 0
	if len(w.tethers) > 1 {
		n = w.random.IntN(len(w.tethers))
	}
	t := w.tethers[n]
	size := int64(float64(r.prompt) * t.bytesPerToken)
	t.router.Start(r.route, session.Request{
		Key: r.talk.key, Model: []byte(model), Bytes: size, Streams: true, Continues: r.talk.n > 1,
	}, w.time())
	u := r.route.Next(w.time())
	for _, s := range w.servers {
		if s.seen[n] == u {
			return s
		}
	}
	return nil
}
