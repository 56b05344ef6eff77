package sim

import (
	"context"
	"time"
)

// shutdownTimeout is the time for which Run lets requests finish (--shutdown-timeout).
const shutdownTimeout = 30 * time.Second

// Run serves on listen until graceful ends, lets requests in flight finish for at most 30 s, and cuts them when immediate ends.
// Once graceful has ended, delayed is called: true closes the port as vLLM does, Config.RefuseAfter after the last request;
// false closes it at once. Run calls logf for each line to log, without a newline. Its error is that of the configuration or of
// listening.
func Run(graceful, immediate context.Context, delayed func() bool, cfg Config, listen string, logf func(format string, args ...any)) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	s := New(cfg)
	if _, err := s.Start(listen); err != nil {
		return err
	}
	logf("simulated vLLM %s on %s, models %v", version, s.URL(), s.cfg.Models)
	<-graceful.Done()
	logf("draining %d requests, at most %v", s.Load().Requests, shutdownTimeout)
	defer context.AfterFunc(immediate, s.Kill)()
	if !delayed() {
		s.current().stop(shutdownTimeout)
		return nil
	}
	limit, cancel := context.WithTimeout(immediate, shutdownTimeout+max(s.cfg.RefuseAfter, 0))
	defer cancel()
	if err := s.Drain(limit); err != nil {
		logf("cut the remaining requests")
	}
	return nil
}
