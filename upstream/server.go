package upstream

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Server is one vLLM server: a process behind one URL. All of its upstreams are up or down together, share its
// connections and serve the same models. It must not be copied.
type Server struct {
	name    string
	address Address
	pool    pool

	lastByte atomic.Int64            // when it last delivered a byte of an answer, in ns since 1970
	listed   atomic.Pointer[Models]  // by the server
	asksKey  atomic.Bool             // before it lists them
	assigned atomic.Pointer[Models]  // by the configuration; written by Registry.Apply
	manners  atomic.Pointer[Manners] // written by Registry.Apply

	onChange func(Change)
	trouble  chan struct{} // capacity 1: there is reason to probe now

	mu        sync.Mutex
	upstreams []*Upstream // guarded by mu, and so is every change of their states; changed by Registry.Apply alone
	since     time.Time   // guarded by mu: of the last change of health
	reason    string      // guarded by mu: of that change
	left      time.Time   // guarded by mu: when it was last found leaving
}

// Name is the name in the configuration, unique among servers and upstreams: that of the only upstream, or the part
// before the @ of all of them.
func (s *Server) Name() string { return s.name }

// Address is where it listens: never to be shown or logged.
func (s *Server) Address() Address { return s.address }

// Manners are those of the last Apply.
func (s *Server) Manners() *Manners { return s.manners.Load() }

// Delivered notes that a byte of an answer came at now.
func (s *Server) Delivered(now time.Time) { s.lastByte.Store(now.UnixNano()) }

// LastDelivered is when a byte of an answer last came, the zero time if never.
func (s *Server) LastDelivered() time.Time {
	if ns := s.lastByte.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Trouble is readable when traffic gave reason to probe this server at once.
func (s *Server) Trouble() <-chan struct{} { return s.trouble }

// AsksKey reports whether the server wants an API key before it lists its models.
func (s *Server) AsksKey() bool { return s.asksKey.Load() }

// SetAsksKey notes whether it does.
func (s *Server) SetAsksKey(asks bool) { s.asksKey.Store(asks) }

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
