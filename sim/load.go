package sim

import (
	"context"
	"sync"
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
	for _, e := range s.memory.Load().engines {
		running, waiting := e.queue.lengths()
		load.Running += running
		load.Waiting += waiting
	}
	if l := s.current(); l != nil {
		l.add(&load)
	}
	return load
}

// Running is the number of requests on the engines, all ranks.
func (s *Server) Running() int { return s.Load().Running }

// Waiting is the number of requests in the queues, all ranks.
func (s *Server) Waiting() int { return s.Load().Waiting }

// Conns is the number of open connections, idle ones included.
func (s *Server) Conns() int { return s.Load().Conns }

// Stats returns the counters.
func (s *Server) Stats() Stats { return s.memory.Load().stats() }

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
