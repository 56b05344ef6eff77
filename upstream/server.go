package upstream

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"time"

	"tether/limit"
	"tether/upstream/load"
	"tether/upstream/models"
	"tether/upstream/transport"
)

// Server is one vLLM server: a process behind one URL. All of its upstreams are up or down together, share its
// connections and serve the same models. It must not be copied.
type Server struct {
	// The fields that every request reads come first: with hundreds of servers they are seldom in the processor's caches.
	models.Served
	limit.Places                                           // of all upstreams together; package session takes them
	options       atomic.Pointer[transport.RequestOptions] // written by Registry.Apply
	lastDelivered atomic.Int64                             // Unix ns, 0 for never
	load.Processes
	pool    transport.Pool
	address transport.Address

	name        string
	states      states
	saidLeaving atomic.Pointer[time.Time] // when the server last said that it is shutting down
	probeWanted chan struct{}             // capacity 1
	load.Fullness
}

func newServer(spec *Spec, onChange func(Change)) *Server {
	return &Server{
		name: spec.Name, address: spec.Address, probeWanted: make(chan struct{}, 1),
		states: states{onChange: onChange, since: time.Now()},
	}
}

// configure gives the server its upstreams, the options of its spec, and what else the spec says of it.
func (s *Server) configure(spec *Spec, options *transport.RequestOptions, upstreams []*Upstream) {
	s.options.Store(options)
	s.Assign(spec.Models)
	s.Limit(spec.MaxInFlight)
	s.states.adopt(upstreams)
	s.configureDrain(spec.Drain)
}

// Name is the name in the configuration, unique among servers and upstreams: the name of the only upstream, or the part
// before the @ of all upstreams.
func (s *Server) Name() string { return s.name }

// Address is where the server listens: never to be shown or logged.
func (s *Server) Address() transport.Address { return s.address }

// RequestOptions are those of the last Apply; they must not be changed.
func (s *Server) RequestOptions() *transport.RequestOptions { return s.options.Load() }

// TakeIdle takes the idle connection that was used last, of those that t can use, out of the server's pool, or returns nil.
func (s *Server) TakeIdle(now time.Time, t transport.Taker) *transport.Conn {
	return s.pool.TakeIdle(now, t)
}

// Dial opens a connection within timeout or until ctx ends. The error is failure.Refused, Unreachable, Insecure or Exhausted.
func (s *Server) Dial(ctx context.Context, timeout time.Duration) (*transport.Conn, error) {
	var secure *tls.Config
	if s.address.Secure {
		secure = s.RequestOptions().TLS.Config()
	}
	return s.pool.Dial(ctx, s.address, secure, timeout)
}

// Delivered notes that a byte of an answer was received at now.
func (s *Server) Delivered(now time.Time) { s.lastDelivered.Store(now.UnixNano()) }

// LastDelivered is when a byte of an answer was last received, the zero time if never.
func (s *Server) LastDelivered() time.Time {
	if ns := s.lastDelivered.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// ProbeWanted is readable when traffic gave reason to probe this server at once.
func (s *Server) ProbeWanted() <-chan struct{} { return s.probeWanted }
