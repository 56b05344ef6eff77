// Package proxy is the data plane: it takes requests in, finds their session, sends them where session says, and
// relays the answers. One request is one exchange; its steps are guard, body, identify, forward and relay, or tunnel for
// a WebSocket, a file each, and the rules of what follows a failure stand in decide.go.
//
// It is the only importer of fasthttp, which parses request heads and runs the keep-alive loop. Everything that
// leaves tether, and every body, goes past it.
//
// Goroutines: Serve's, and one a client connection, or one that is turned away, all ended when Shutdown has returned. Send of package
// upstream adds one for a large body, Tunnel of package wire one for a WebSocket.
package proxy

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"tether/auth"
	"tether/session"
	"tether/session/identity"
	"tether/upstream"
)

// Deps are what a Proxy works with.
type Deps struct {
	Registry   *upstream.Registry
	Router     *session.Router
	Identifier *identity.Identifier
	// Keys are those that clients need one of; nil wants none.
	Keys *auth.Keys
	// Verdicts is closed when requests need not wait for health any longer.
	Verdicts <-chan struct{}
	// MemoryLimit is the process's, in bytes: shares are taken of it.
	MemoryLimit int64
	// OnDone is told of every request that is over, on the request's goroutine; nil tells nobody.
	OnDone func(*Record)
	// OnRefused is told of connections and heads that were refused before there was a request; nil tells nobody.
	OnRefused func(status int, reason string)
	Log       *zap.Logger
}

// Proxy serves clients.
type Proxy struct {
	cfg        Config
	registry   *upstream.Registry
	router     *session.Router
	identifier *identity.Identifier
	keys       *auth.Keys
	verdicts   <-chan struct{}
	onDone     func(*Record)
	onRefused  func(int, string)
	log        *zap.Logger

	parser    *parser
	exposed   exposed
	trusted   []netip.Prefix
	budget    *budget
	clients   clients
	exchanges sync.Pool
	inFlight  atomic.Int64
	ready     atomic.Bool // verdicts is closed
	closing   atomic.Bool // every answer ends its connection
}

// New makes a proxy from a valid configuration.
func New(cfg Config, d Deps) (*Proxy, error) {
	p := &Proxy{
		cfg: cfg, registry: d.Registry, router: d.Router, identifier: d.Identifier, keys: d.Keys, verdicts: d.Verdicts,
		onDone: d.OnDone, onRefused: d.OnRefused, log: d.Log,
		budget:  newBudget(cfg.MaxBodyTotal.Of(d.MemoryLimit), int64(cfg.MaxBody)),
		clients: clients{open: map[*client]bool{}},
	}
	for _, s := range cfg.Expose {
		x, err := parseExposed(s)
		if err != nil {
			return nil, err
		}
		p.exposed = append(p.exposed, x)
	}
	for _, s := range cfg.TrustedProxies {
		prefix, err := parsePrefix(s)
		if err != nil {
			return nil, err
		}
		p.trusted = append(p.trusted, prefix)
	}
	p.exchanges.New = func() any {
		x := &exchange{p: p, out: make([]byte, 0, 4<<10), reply: make([]byte, 0, 4<<10)}
		x.look = x.see
		x.search.Begin(p.identifier) // and anew at the end of each request
		return x
	}
	p.parser = newParser(p.handle, int(cfg.MaxHeader))
	return p, nil
}

// InFlight is the number of requests in flight.
func (p *Proxy) InFlight() int64 { return p.inFlight.Load() }

// BodyBytes is the memory that request bodies take now.
func (p *Proxy) BodyBytes() int64 { return p.budget.inUse() }

// LastAnswers makes every answer from now on end its connection, so that clients go elsewhere while they are still
// served here.
func (p *Proxy) LastAnswers() { p.closing.Store(true) }

// Shutdown ends the idle connections, waits for requests in flight until ctx ends, and cuts what is left then. The
// listener is closed already. It reports how many connections were cut.
func (p *Proxy) Shutdown(ctx context.Context) (cut int) {
	p.closing.Store(true)
	return p.clients.stop(ctx)
}
