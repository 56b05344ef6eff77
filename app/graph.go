package app

import (
	"go.uber.org/zap"

	"tether/admin"
	"tether/auth"
	"tether/config"
	"tether/proxy"
	"tether/session"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
)

// graph is the parts that decide where a request goes. A running tether serves with them; Guide explains with them.
type graph struct {
	registry   *upstream.Registry
	pins       *pins.Map
	stored     *pins.Map // where stored responses are
	router     *session.Router
	identifier *identity.Identifier
	keys       *auth.Keys // nil if clients need none
	secret     []byte     // of session ids; empty for none
	proxy      *proxy.Proxy
}

// newGraph makes the parts for cfg. maxPins bounds each of the two maps; deps has what does not depend on cfg.
func newGraph(cfg *config.Config, maxPins int, deps proxy.Deps) (*graph, error) {
	g := &graph{registry: deps.Registry}
	var err error
	if g.secret, err = config.ReadSecret(cfg.Session.Identity.SecretFile); err != nil {
		return nil, usageError("session.secret_file: %w", err)
	}
	if g.keys, err = openKeys(cfg); err != nil {
		return nil, err
	}
	if g.identifier, err = identity.NewIdentifier(&cfg.Session.Identity, &cfg.Models, g.secret); err != nil {
		return nil, err
	}
	g.pins = pins.NewMap(maxPins, cfg.Session.Pins.TTL)
	g.stored = pins.NewMap(maxPins, session.ResponsesTTL)
	g.router = session.NewRouter(cfg.Session.Routing, g.pins, g.stored, cfg.Affinity)
	deps.Router, deps.Identifier, deps.Keys = g.router, g.identifier, g.keys
	g.proxy, err = proxy.New(cfg.Proxy, deps)
	return g, err
}

// apply makes specs the upstreams.
func (g *graph) apply(specs []upstream.Spec) error {
	removed, err := g.registry.Apply(specs)
	if err != nil {
		return err
	}
	return g.router.Use(g.registry.Table(), removed)
}

// guide returns the guide that explains where these parts send requests.
func (g *graph) guide() admin.Guide {
	return admin.Guide{Router: g.router, Identifier: g.identifier, Read: g.proxy.Read}
}

// guideMaxPins bounds the maps of a guide without a running tether: they stay empty.
const guideMaxPins = 1000

// Guide returns a guide to what a tether with this configuration would do with every upstream up and no session pinned.
// memory is the process's memory limit in bytes.
func Guide(cfg *config.Config, memory int64) (*admin.Guide, error) {
	g, err := newGraph(cfg, guideMaxPins, proxy.Deps{Registry: upstream.NewRegistry(nil), MemoryLimit: memory, Log: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	if err := g.apply(cfg.Specs()); err != nil {
		return nil, err
	}
	for _, m := range g.registry.Table().Members {
		m.SetHealth(upstream.Up, "")
	}
	guide := g.guide()
	return &guide, nil
}
