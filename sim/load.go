package sim

import (
	"context"

	"tether/sim/engine"
)

// Load is what a server is doing at one moment.
type Load struct {
	Running  int  // requests on the engines, all ranks: vllm:num_requests_running
	Waiting  int  // requests in the queues, all ranks: vllm:num_requests_waiting
	Requests int  // HTTP requests in their handlers, and background responses; also those that a fault holds
	Held     int  // requests that the faults hang, hang-health or stall hold at this moment
	Conns    int  // open connections, idle ones included
	Draining bool // Drain was called
}

// Load returns the load of this moment.
func (s *Server) Load() Load {
	var load Load
	load.Running, load.Waiting = s.memory.Load().ranks.Load()
	if l := s.current(); l != nil {
		l.mu.Lock()
		load.Requests, load.Held, load.Draining = l.requests, l.held, l.draining
		l.mu.Unlock()
		load.Conns = len(l.conns.list())
	}
	return load
}

// Stats returns the counters since the caches were last lost, all ranks together.
func (s *Server) Stats() engine.Stats { return s.memory.Load().ranks.Stats() }

// Await returns when the load satisfies the condition, or with ctx's error. It checks the condition at every change of the load
// and of Stats, which the condition may ask for too, and never polls.
func (s *Server) Await(ctx context.Context, condition func(Load) bool) error {
	return s.bell.await(ctx, func() bool { return condition(s.Load()) })
}
