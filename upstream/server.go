package upstream

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tether/upstream/models"
	"tether/upstream/transport"
)

// Server is one vLLM server: a process behind one URL. All of its upstreams are up or down together, share its
// connections and serve the same models. It must not be copied.
type Server struct {
	models.Served
	name    string
	address transport.Address
	pool    transport.Pool

	lastByte atomic.Int64                             // when it last delivered a byte of an answer, in ns since 1970
	options  atomic.Pointer[transport.RequestOptions] // written by Registry.Apply

	onChange    func(Change)
	probeWanted chan struct{} // capacity 1

	mu        sync.Mutex
	upstreams []*Upstream // guarded by mu, and so is every change of their states; changed by Registry.Apply alone
	since     time.Time   // guarded by mu: of the last change of health
	reason    string      // guarded by mu: of that change
	left      time.Time   // guarded by mu: when it was last found leaving
}

// Name is the name in the configuration, unique among servers and upstreams: that of the only upstream, or the part
// before the @ of all of them.
func (s *Server) Name() string { return s.name }

// Address is where the server listens: never to be shown or logged.
func (s *Server) Address() transport.Address { return s.address }

// RequestOptions are those of the last Apply; they must not be changed.
func (s *Server) RequestOptions() *transport.RequestOptions { return s.options.Load() }

// TakeIdle takes the idle connection that was used last out of the server's pool, or returns nil.
func (s *Server) TakeIdle(now time.Time) *transport.Conn { return s.pool.TakeIdle(now) }

// Dial opens a connection within timeout or until ctx ends. The error is failure.Refused, Unreachable, Insecure or Exhausted.
func (s *Server) Dial(ctx context.Context, timeout time.Duration) (*transport.Conn, error) {
	var secure *tls.Config
	if s.address.Secure {
		secure = s.RequestOptions().TLS.Config()
	}
	return s.pool.Dial(ctx, s.address, secure, timeout)
}

// Delivered notes that a byte of an answer came at now.
func (s *Server) Delivered(now time.Time) { s.lastByte.Store(now.UnixNano()) }

// LastDelivered is when a byte of an answer last came, the zero time if never.
func (s *Server) LastDelivered() time.Time {
	if ns := s.lastByte.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// ProbeWanted is readable when traffic gave reason to probe this server at once.
func (s *Server) ProbeWanted() <-chan struct{} { return s.probeWanted }

// ranked gives the upstream of that rank, or nil. It is for Registry.Apply, which alone changes them.
func (s *Server) ranked(rank int) *Upstream {
	for _, u := range s.upstreams {
		if u.rank == rank {
			return u
		}
	}
	return nil
}

// adopt makes upstreams those of the server. New ones begin in the state that those before had in common.
func (s *Server) adopt(upstreams []*Upstream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.upstreams) > 0 {
		state := s.stateLocked()
		for _, u := range upstreams {
			if !slices.Contains(s.upstreams, u) {
				u.state.Store(uint32(state))
			}
		}
	}
	s.upstreams = upstreams
}
