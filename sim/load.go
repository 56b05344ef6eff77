package sim

import (
	"context"
	"sync"

	"tether/sim/engine"
)

// Load is what a server is doing at one moment.
type Load struct {
	Running  int  // requests on the engines, all ranks: vllm:num_requests_running
	Waiting  int  // requests in the queues: vllm:num_requests_waiting
	Requests int  // HTTP requests in their handlers, and background responses; also those that a fault holds
	Held     int  // of these, the ones that hang, hang-health or stall hold at this moment
	Conns    int  // open connections, idle ones included
	Draining bool // Drain was called
}

// Load looks at the server once.
func (s *Server) Load() Load {
	var load Load
	load.Running, load.Waiting = s.memory.Load().ranks.Load()
	if l := s.current(); l != nil {
		l.add(&load)
	}
	return load
}

// Stats returns the counters since the caches were last lost, all ranks together.
func (s *Server) Stats() engine.Stats { return s.memory.Load().ranks.Stats() }

// Await returns when the load satisfies the condition, or with ctx's error. It looks at every change of the load and of
// Stats, which the condition may ask for too, and never polls.
func (s *Server) Await(ctx context.Context, condition func(Load) bool) error {
	for {
		changed := s.bell.next()
		if condition(s.Load()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// bell wakes everybody who waits for the next change. Its zero value is ready.
type bell struct {
	mu sync.Mutex
	ch chan struct{} // guarded by mu; nil while nobody waits
}

func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
