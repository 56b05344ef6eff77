package sim

import (
	"context"

	"tether/sim/engine"
)

// Drain ends the server as vLLM ends on SIGTERM with --shutdown-timeout: requests in flight finish; new ones get 500 "cannot
// schedule new futures after shutdown" (or "abort", where they send token ids); /health, /v1/models and /metrics stay 200;
// Config.RefuseAfter after the last request in flight the port refuses, and Drain returns. When ctx ends first, the remaining
// requests are cut, and Drain returns ctx's error. Caches and stored responses are lost.
func (s *Server) Drain(ctx context.Context) error {
	l := s.current()
	if l == nil {
		return nil
	}
	l.update(func() { l.draining = true })
	err := s.awaitDrained(ctx, l)
	l.lost.Store(true)
	timeout := s.cfg.StopTimeout
	if err != nil {
		timeout = 0
	}
	l.stop(timeout)
	return err
}

// awaitDrained waits for the moment when vLLM would close its port. It returns early without an error when another call ends
// the life.
func (s *Server) awaitDrained(ctx context.Context, l *life) error {
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	err := s.Await(either, func(Load) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.jobs == 0 // for good: a draining life admits no further job
	})
	if err == nil {
		err = engine.Pause(either, s.cfg.RefuseAfter)
	}
	if l.ctx.Err() != nil {
		return nil
	}
	return err
}
