package sim

import (
	"context"
	"time"
)

// Drain ends the server as vLLM does on SIGTERM with --shutdown-timeout: requests in flight finish; new ones get 500
// "cannot schedule new futures after shutdown" (or "abort", where they bring token ids); /health, /v1/models and
// /metrics stay 200; Config.RefuseAfter after the last request in flight the port refuses. It returns then. When ctx ends
// first, what is left is cut, and ctx's error is returned. Caches and stored responses are lost.
func (s *Server) Drain(ctx context.Context) error {
	l := s.current()
	if l == nil {
		return nil
	}
	l.drain()
	err := s.drained(ctx, l)
	l.lost.Store(true)
	if err != nil {
		l.stop(0)
	} else {
		l.stop(s.cfg.StopTimeout)
	}
	return err
}

// drained waits until vLLM would close its port, or the life was ended by somebody else.
func (s *Server) drained(ctx context.Context, l *life) error {
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	err := s.Await(either, func(Load) bool { return l.idle() })
	if err == nil {
		select {
		case <-time.After(s.cfg.RefuseAfter):
		case <-either.Done():
			err = either.Err()
		}
	}
	if l.ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *life) drain() {
	l.mu.Lock()
	defer l.srv.bell.ring()
	defer l.mu.Unlock()
	l.draining = true
}

// idle says whether a draining life has no job left; no new one can come.
func (l *life) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.jobs == 0
}

// End is when Run ends, and how.
type End struct {
	// Wanted ends when the server shall: requests in flight may finish for Config.ShutdownTimeout.
	Wanted context.Context
	// Hasty is asked then: whether the port refuses at once, or as vLLM's does, Config.RefuseAfter after the last request.
	Hasty func() bool
	// Needed ends when everything shall be cut.
	Needed context.Context
}

// Run serves on listen until its end is wanted. What there is to say goes to logf, in lines without a newline. An error is
// that of listening.
func Run(end End, cfg Config, listen string, logf func(format string, args ...any)) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	s := New(cfg)
	if _, err := s.Start(listen); err != nil {
		return err
	}
	logf("simulated vLLM %s on %s, models %v", version, s.URL(), s.cfg.Models)
	<-end.Wanted.Done()
	grace := max(s.cfg.ShutdownTimeout, 0)
	logf("draining %d requests, at most %v", s.Load().Requests, grace)
	defer context.AfterFunc(end.Needed, s.Kill)()
	if end.Hasty() {
		s.current().stop(grace)
		return nil
	}
	limit, cancel := context.WithTimeout(end.Needed, grace+max(s.cfg.RefuseAfter, 0))
	defer cancel()
	if err := s.Drain(limit); err != nil {
		logf("cut what was left")
	}
	return nil
}
