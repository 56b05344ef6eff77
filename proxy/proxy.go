// Package proxy is the data plane: it receives requests, finds their session, sends them where package session says, and
// relays the answers. One request is one exchange. exchange.run takes it through its steps, each in a file of its own: guard,
// body, identify, attempt and retry, relay, or tunnel for a WebSocket. Package app starts and stops the proxy.
//
// It does not own the sockets (package wire), the connections to servers (package transport), or the choice of the upstream
// (package session). Only fasthttp.go imports fasthttp, which parses request lines. Bodies, and all that tether sends, bypass
// fasthttp.
//
// Each file is tested in the test file of its name, with these exceptions: accept.go in client_set_test.go and tls_test.go,
// buffers.go in body_test.go, reply.go in fail_test.go and errors_test.go, and observe.go by the tests of its observers. Some
// test files are about the whole proxy: fail_test.go has the table of failures, leave_test.go clients that leave, memory_test.go
// and apart_linux_test.go what remains after requests, ranks_test.go, realclients_test.go and tls_test.go ranks, recorded
// clients and TLS.
//
// Goroutines: that of Serve, one for each client connection that no event loop has, and one for each connection that is turned away. All
// have ended when Shutdown has returned, and no loop has a connection any more. See loop.go. Send of package transport adds one for a large body, Tunnel of package wire one for a WebSocket.
package proxy

import (
	"context"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"tether/session"
	"tether/session/openings"
	"tether/session/prefill"
	"tether/traceparent"
	"tether/upstream"
)

// Deps are what a Proxy works with.
type Deps struct {
	Registry *upstream.Registry
	Router   *session.Router
	// Openings learns which openings many conversations share. With nil every conversation is known by its opening alone.
	Openings *openings.Table
	// Estimates learn from answers how much work prompts are. With nil nothing is learned.
	Estimates *prefill.Estimates
	// Verdicts is closed when requests need not wait for health any longer.
	Verdicts <-chan struct{}
	// MemoryLimit is the process's memory limit in bytes, for shares of it.
	MemoryLimit int64
	// Traces begins the spans of requests. With nil nothing is traced.
	Traces *traceparent.Source
	// OnDone is called with every request that is over, on the request's goroutine, or on the thread of its loop: it must not wait. nil is allowed.
	OnDone func(*Record)
	// OnRefused is called for connections and heads that were refused before there was a request. nil is allowed.
	OnRefused func(status int, reason string)
	Log       *zap.Logger
}

// Proxy serves clients.
type Proxy struct {
	registry    *upstream.Registry
	router      *session.Router
	openings    *openings.Table
	estimates   *prefill.Estimates
	verdicts    <-chan struct{}
	memoryLimit int64
	traces      *traceparent.Source // nil for none
	onDone      func(*Record)
	onRefused   func(int, string)
	log         *zap.Logger

	settings  atomic.Pointer[settings] // written by Use alone
	budget    *budget
	clients   clients
	exchanges sync.Pool
	inFlight  atomic.Int64
	ready     atomic.Bool // verdicts is closed
	closing   atomic.Bool // every answer ends its connection
}

// New makes a proxy.
func New(s Settings, d Deps) (*Proxy, error) {
	p := &Proxy{
		registry: d.Registry, router: d.Router, openings: d.Openings, estimates: d.Estimates, verdicts: d.Verdicts, memoryLimit: d.MemoryLimit,
		traces: d.Traces, onDone: d.OnDone, onRefused: d.OnRefused, log: d.Log,
		budget: newBudget(), clients: clients{open: map[*client]bool{}},
	}
	p.exchanges.New = func() any { return newExchange(p) }
	return p, p.Use(s)
}

// InFlight is the number of requests in flight.
func (p *Proxy) InFlight() int64 { return p.inFlight.Load() }

// BodyBytes is the memory that request bodies take now.
func (p *Proxy) BodyBytes() int64 { return p.budget.inUse() }

// LastAnswers ends readiness, and makes every answer from now on end its connection, so that clients go elsewhere while they are still
// served here.
func (p *Proxy) LastAnswers() { p.closing.Store(true) }

// Shutdown ends the idle connections, waits for requests in flight until ctx ends, and cuts what is left then. The
// listener is closed already. It reports how many connections were cut.
func (p *Proxy) Shutdown(ctx context.Context) (cut int) {
	p.closing.Store(true)
	return p.clients.stop(ctx)
}

// awaitVerdicts makes requests wait that arrive before health has its first verdicts: otherwise a start would pin
// all sessions to the server that answers first.
func (p *Proxy) awaitVerdicts(c *client) *fault {
	left := make(chan struct{})
	if !c.Bind(aborter(func() { close(left) })) {
		return faultClientGone
	}
	select {
	case <-p.verdicts:
		p.ready.Store(true)
	case <-left:
	}
	if c.Unbind() {
		return faultClientGone
	}
	return nil
}
