package app

import (
	"go.uber.org/zap"
	"math/rand/v2"

	"tether/admin"
	"tether/config"
	"tether/proxy"
	"tether/session"
	"tether/session/pins"
	"tether/upstream"
)

// graph is the parts that decide where a request goes. A running tether serves with them; Guide explains with them.
type graph struct {
	settings *settings
	registry *upstream.Registry
	pins     *pins.Map
	stored   *pins.Map // where stored responses are
	router   *session.Router
	proxy    *proxy.Proxy
}

// newGraph makes the parts for s. maxPins limits each of the two maps; deps has what does not depend on s.
func newGraph(s *settings, maxPins int, deps proxy.Deps) (g *graph, err error) {
	g = &graph{settings: s, registry: deps.Registry}
	g.pins = pins.NewMap(maxPins, s.Session.Pins.TTL)
	g.stored = pins.NewMap(maxPins, session.ResponsesTTL)
	g.router = session.NewRouter(s.Session.Routing, g.pins, g.stored, rand.IntN)
	deps.Router = g.router
	g.proxy, err = proxy.New(proxy.Settings{Config: s.Proxy, Identifier: s.identifier, Keys: s.keys}, deps)
	return g, err
}

// apply makes the upstreams those of the settings.
func (g *graph) apply() error {
	removed, err := g.registry.Apply(g.settings.specs)
	if err != nil {
		return err
	}
	return g.router.Use(g.registry.Table(), removed)
}

// guide returns the guide that explains where these parts send requests.
func (g *graph) guide() admin.Guide {
	return admin.Guide{Router: g.router, Identifier: g.settings.identifier, Read: g.proxy.Read}
}

// guideMaxPins bounds the maps of a guide without a running tether: they stay empty.
const guideMaxPins = 1000

// Guide returns a guide to what a tether with this configuration would do with every upstream up and no session pinned.
// memory is the process's memory limit in bytes.
func Guide(cfg *config.Config, memory int64) (*admin.Guide, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, err
	}
	g, err := newGraph(s, guideMaxPins, proxy.Deps{Registry: upstream.NewRegistry(nil), MemoryLimit: memory, Log: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	if err := g.apply(); err != nil {
		return nil, err
	}
	for _, m := range g.registry.Table().Members {
		m.SetHealth(upstream.Up, "")
	}
	guide := g.guide()
	return &guide, nil
}
