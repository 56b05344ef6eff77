package app

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tether/admin"
	"tether/config"
	"tether/proxy"
	"tether/session"
	"tether/session/identity"
	"tether/session/openings"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/upstream"
)

// graph is the parts that decide where a request goes. A running tether serves with them, and a Guide explains with
// them.
type graph struct {
	settings atomic.Pointer[settings] // those in force, stored by apply
	registry *upstream.Registry
	pins     *pins.Map
	stored   *pins.Map // where stored responses are
	router   *session.Router
	openings *openings.Table
	prefill  *prefill.Estimates
	proxy    *proxy.Proxy
}

// newGraph makes the parts for s; apply then gives them the upstreams. maxPins limits each of the two maps. deps has
// what does not depend on s.
func newGraph(s *settings, maxPins int, deps proxy.Deps) (g *graph, err error) {
	g = &graph{registry: deps.Registry}
	g.settings.Store(s)
	g.pins = pins.NewMap(maxPins, s.Session.Pins.TTL)
	g.stored = pins.NewMap(maxPins, session.ResponsesTTL)
	g.prefill = prefill.New(s.Models.Prefill)
	g.router = session.NewRouter(s.Session.Routing, g.pins, g.stored, g.prefill, rand.IntN)
	g.openings = openings.NewTable()
	deps.Router, deps.Openings, deps.Estimates = g.router, g.openings, g.prefill
	g.proxy, err = proxy.New(s.proxy(), deps)
	return g, err
}

// apply gives the parts what they need of s, and makes s the settings in force. An error changes nothing: the parts refuse what
// Check refuses, and nothing else of a valid configuration.
func (g *graph) apply(s *settings) error {
	if err := session.Check(s.specs); err != nil {
		return err
	}
	g.registry.FinishWithin(s.Proxy.ShutdownTimeout)
	removed, err := g.registry.Apply(s.specs)
	if err != nil {
		return err
	}
	if err := g.router.Use(g.registry.Table(), removed); err != nil {
		return err
	}
	g.router.Configure(s.Session.Routing)
	g.prefill.Configure(s.Models.Prefill)
	g.pins.SetTTL(s.Session.Pins.TTL)
	if before := g.settings.Load().keys; before != nil && s.keys != nil && before != s.keys {
		s.keys.Inherit(before)
	}
	g.settings.Store(s)
	return g.proxy.Use(s.proxy())
}

// guide returns a Guide to where these parts send requests.
func (g *graph) guide() admin.Guide {
	return admin.Guide{Router: g.router, Identifier: func() *identity.Identifier { return g.settings.Load().identifier }, Read: g.read}
}

// read reads a request for a Guide.
func (g *graph) read(raw []byte) session.Reading { return g.proxy.Read(raw, time.Now(), false) }

// guideMaxPins limits the maps of a Guide without a running tether: they stay empty.
const guideMaxPins = 1000

// Guide returns a Guide to what a tether with this configuration would do, with every upstream up and no session
// pinned. memory is the process's memory limit in bytes.
func Guide(cfg *config.Config, memory int64) (*admin.Guide, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, err
	}
	g, err := newGraph(s, guideMaxPins, proxy.Deps{Registry: upstream.NewRegistry(nil), MemoryLimit: memory, Log: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	if err := g.apply(s); err != nil {
		return nil, err
	}
	for _, m := range g.registry.Table().Members {
		m.SetHealth(upstream.Up, "")
	}
	guide := g.guide()
	return &guide, nil
}
