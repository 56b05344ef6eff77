package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// clients are the open connections of clients. Each belongs to a goroutine, or to the thread of an event loop.
type clients struct {
	idleClosed atomic.Int64 // connections that were closed because they were idle for too long
	displaced  atomic.Int64 // connections without a request that were closed in favour of others
	stopping   atomic.Bool  // no request is awaited any more

	mu      sync.Mutex
	open    map[*client]bool // guarded by mu
	refused int              // guarded by mu: connections that are being refused with an answer
	all     sync.WaitGroup   // of both; Add is called with mu held
}

// add enters c, or says why there cannot be another connection of its address.
func (s *clients) add(c *client, limits *Config) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.full(c, limits); f != nil {
		return f
	}
	c.account.conns++
	s.open[c] = true
	s.all.Add(1)
	return nil
}

// full says why c cannot be added, nil if it can. s.mu is held.
func (s *clients) full(c *client, limits *Config) *fault {
	perAddress := limits.MaxConnectionsPerAddress
	switch {
	case s.stopping.Load():
		return faultTooManyClients
	case perAddress > 0 && c.account.conns >= perAddress && !c.relays:
		return faultAddressClients
	case len(s.open) >= limits.MaxConnections && !s.makeRoom():
		return faultTooManyClients
	}
	return nil
}

// makeRoom closes a connection that has no whole request, and reports whether it found one. s.mu is held.
func (s *clients) makeRoom() bool {
	const tries = 3 // a request may arrive on the chosen connection at this moment
	for range tries {
		c, since := s.leastWanted()
		if c == nil {
			return false
		}
		if c.waitingSince.CompareAndSwap(since, 0) {
			s.displaced.Add(1)
			_ = c.Drop() // which its goroutine or its loop notices
			return true
		}
	}
	return false
}

// leastWanted looks at sampleSize connections, and chooses one that has no whole request: one of the address that has the most
// connections, so that one address cannot keep the others out; of these, the one that has waited longest. It returns nil if there is
// none. s.mu is held.
func (s *clients) leastWanted() (chosen *client, since int64) {
	const sampleSize = 64
	looked := 0
	for c := range s.open {
		if waiting := c.waitingSince.Load(); waiting != 0 {
			if chosen == nil || c.share() > chosen.share() || c.share() == chosen.share() && waiting < since {
				chosen, since = c, waiting
			}
		}
		if looked++; looked == sampleSize {
			break
		}
	}
	return chosen, since
}

// displace closes a connection as makeRoom does, and reports whether it found one.
func (s *clients) displace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.makeRoom()
}

// share is the number of connections of the client's address. A trusted proxy's connections count as one. clients.mu is held.
func (c *client) share() int {
	if c.relays {
		return 1
	}
	return c.account.conns
}

// remove takes out a connection that has ended.
func (s *clients) remove(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	c.account.conns--
}

// addRefused counts a connection that is to be refused with an answer. It reports false if most are being refused.
func (s *clients) addRefused(most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused >= most || s.stopping.Load() {
		return false
	}
	s.refused++
	s.all.Add(1)
	return true
}

func (s *clients) removeRefused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused--
}

func (s *clients) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// stop ends the idle connections, waits until ctx ends for the others, and cuts those that are left then. A new connection gets
// firstRequestTime for its request, because its client could not know that it is too late. stop returns the number of those it cut.
func (s *clients) stop(ctx context.Context) (cut int) {
	s.stopping.Store(true)
	s.endIdle()
	done := make(chan struct{})
	go s.ended(done)
	firstRequests := time.NewTimer(firstRequestTime)
	defer firstRequests.Stop()
	for {
		select {
		case <-done:
			return cut
		case <-firstRequests.C:
			s.endIdle()
			continue
		case <-ctx.Done():
		}
		s.each(func(c *client) {
			cut++
			c.Cut() // a cut answer must not pass for a whole one
		})
		<-done
		return cut
	}
}

// endIdle ends the connections on which no request is awaited any more.
func (s *clients) endIdle() {
	now := time.Now()
	s.each(func(c *client) {
		if c.idle.Load() && !isNew(c, now) && c.Quiet() { // a request that was sent before is served
			_ = c.Drop() // which its goroutine or its loop notices
		}
	})
}

// ended closes done when the last connection has ended.
func (s *clients) ended(done chan<- struct{}) {
	s.all.Wait()
	close(done)
}

func (s *clients) each(f func(*client)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		f(c)
	}
}
