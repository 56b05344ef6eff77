package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"tether/proxy"
)

// Shutdown says when a running tether is to end.
type Shutdown struct {
	// Graceful ends when tether is to stop in good order.
	Graceful context.Context
	// Delayed reports, once Graceful has ended, whether tether serves on for the configured delay before it stops.
	Delayed func() bool
	// Immediate ends when tether is to stop at once.
	Immediate context.Context
}

// stop ends what was started, in reverse order, so that clients notice as little as possible: tether says that it is not
// ready and serves on for the delay, accepts no more connections, lets requests finish, and cuts the rest. The parts
// that requests need end after them.
func (a *app) stop() error {
	cfg := &a.settings.Load().Proxy
	deadline, cancel := context.WithTimeout(a.shutdown.Immediate, a.shutdown.delay(cfg)+cfg.ShutdownTimeout)
	defer cancel()
	return a.steps.stop(deadline)
}

// delay returns how long tether serves on while it is not ready.
func (s *Shutdown) delay(cfg *proxy.Config) time.Duration {
	if s.Delayed() {
		return cfg.ShutdownDelay
	}
	return 0
}

// leave makes tether not ready, and serves on for the delay.
func (a *app) leave(deadline context.Context) error {
	a.proxy.LastAnswers()
	delay := a.shutdown.delay(&a.settings.Load().Proxy)
	if delay == 0 {
		return nil
	}
	a.log.Info("shutting down: not ready any more, still serving", zap.Duration("shutdown_delay", delay))
	select {
	case <-time.After(delay):
	case <-deadline.Done():
	case <-a.steps.failed:
	}
	return nil
}

// finish lets requests in flight finish until the deadline, and cuts the others.
func (a *app) finish(deadline context.Context) error {
	a.log.Info("shutting down: requests in flight may finish", zap.Int64("requests", a.proxy.InFlight()),
		zap.Duration("shutdown_timeout", a.settings.Load().Proxy.ShutdownTimeout))
	if cut := a.proxy.Shutdown(deadline); cut > 0 {
		a.log.Warn("connections cut at shutdown", zap.Int("connections", cut))
	}
	return nil
}
