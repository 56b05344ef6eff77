package sim

import (
	"context"
)

// End says when Run ends, and how.
type End struct {
	// Wanted ends when the server is to end: requests in flight may finish for Config.ShutdownTimeout.
	Wanted context.Context
	// Hasty is called then. True closes the port at once; false closes it as vLLM does, Config.RefuseAfter after the last
	// request.
	Hasty func() bool
	// Needed ends when all requests are to be cut.
	Needed context.Context
}

// Run serves on listen until its end is wanted. It calls logf for each line to log, without a newline. Its error is that of the
// configuration or of listening.
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
	timeout := max(s.cfg.ShutdownTimeout, 0)
	logf("draining %d requests, at most %v", s.Load().Requests, timeout)
	defer context.AfterFunc(end.Needed, s.Kill)()
	if end.Hasty() {
		s.current().stop(timeout)
		return nil
	}
	limit, cancel := context.WithTimeout(end.Needed, timeout+max(s.cfg.RefuseAfter, 0))
	defer cancel()
	if err := s.Drain(limit); err != nil {
		logf("cut the remaining requests")
	}
	return nil
}
