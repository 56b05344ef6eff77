package store

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tether/session/identity"
	"tether/session/shared"
)

// Deps are what a Store works with.
type Deps struct {
	Config  Config
	Address Address
	// TLS returns the TLS configuration in force, nil for none.
	TLS func() *tls.Config
	// Local is the maps of this process, Changes what requests and operators do to them.
	Local   shared.Local
	Changes *shared.Queue
	// Strays calls the function with the sessions of this process that are bound elsewhere than at home.
	Strays func(func(*shared.Sighting))
	// Max bounds the sessions and responses that are known; TTL is how long one counts after its last use.
	Max int
	TTL func() time.Duration
	// Check returns what tells the session secret. Ring returns the digest of the ring.
	Check func() identity.Key
	Ring  func() uint64
	// Version and Admin are shown to other processes.
	Version, Admin string
	// TellLoad is called several times a second with the load that other processes have put on upstreams, and appends to own what this
	// process has put there. It must not block.
	TellLoad func(others map[uint64]shared.Load, own []shared.Load) []shared.Load
	// OnState is called with each change of the state; it must not block.
	OnState func(State)
}

// State is how the store is doing.
type State struct {
	// Trouble is why nothing comes back from the stream, "" if all is well.
	Trouble Trouble
	// Deaf is why this process does not share its load with others, or theirs with it, although the stream works; "" if it does.
	Deaf Trouble
	// Foreign is true if another process with another ring digest has been there for more than ringPatience.
	Foreign bool
}

// Store shares the sessions of this process with others. It is safe for concurrent use.
type Store struct {
	*known
	wake  chan struct{} // capacity 1: there may be something to send
	ask   chan job      // for repair; full: the job is about to be done anyway
	ready chan struct{} // closed once the stream has been read, or cannot be

	opened sync.Once // closes ready
	conn   atomic.Pointer[connection]
}

// New returns a store. It connects once Run runs.
func New(d Deps) *Store {
	return &Store{known: newKnown(d), wake: make(chan struct{}, 1), ask: make(chan job, 4), ready: make(chan struct{})}
}

// Ready is closed once this process knows what the stream knows, or the store cannot be used: requests need not wait any more.
func (s *Store) Ready() <-chan struct{} { return s.ready }

// Backoffs of the connection.
const (
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = time.Second
)

// Run shares sessions until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	defer s.giveUp()
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Add(3)
	go s.send(ctx, &parts)
	go s.repair(ctx, &parts)
	go tellLoad(ctx, s, &parts)
	backoff := firstBackoff
	for ctx.Err() == nil {
		began := time.Now()
		err := s.connected(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.noteTrouble(troubleOf(err))
		s.giveUp()
		if time.Since(began) > 2*maxBackoff {
			backoff = firstBackoff
		}
		select {
		case <-time.After(backoff/2 + rand.N(backoff)):
		case <-ctx.Done():
		}
		backoff = min(2*backoff, maxBackoff)
	}
	return nil
}

// giveUp ends the wait for the stream.
func (s *Store) giveUp() { s.opened.Do(func() { close(s.ready) }) }

// connected connects, and receives until the connection fails.
func (s *Store) connected(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var secure *tls.Config
	if s.deps.TLS != nil {
		secure = s.deps.TLS()
	}
	c, err := dial(ctx, &s.deps.Address, &s.deps.Config, secure)
	if err != nil {
		return err
	}
	c.cancel = cancel
	defer c.Close()
	if err := s.setClock(ctx, c); err != nil {
		return err
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel() // before the wait
	parts.Add(1)
	go hear(ctx, s, c, &parts)
	defer s.conn.Store(nil)
	return s.receive(ctx, c)
}

// fail ends a connection that does not work. What was sent and is not back is sent again over the next one.
func (s *Store) fail(c *connection, err error) {
	s.noteTrouble(troubleOf(err))
	c.cancel()
}

// Drained notes a command of an operator of this process, which the process has carried out.
func (s *Store) Drained(d *shared.Drain) {
	s.mu.Lock()
	s.ledger.Drained(d, s.clock.now())
	s.mu.Unlock()
	s.awake()
}

// Upstreams notes that the upstreams have changed. added has the names that were not there before.
func (s *Store) Upstreams(added map[string]bool) {
	if len(added) > 0 {
		s.mu.Lock()
		s.ledger.Known(added, s.clock.now())
		s.mu.Unlock()
	}
	s.request(tellStrays)
}

func (s *Store) awake() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
}
