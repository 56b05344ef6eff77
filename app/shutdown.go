package app

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Shutdown says when a running tether is to end.
type Shutdown struct {
	// Graceful ends when tether is to stop in good order.
	Graceful context.Context
	// Delayed reports, once Graceful ended, whether to go on serving for the configured delay first.
	Delayed func() bool
	// Immediate ends when tether is to stop at once.
	Immediate context.Context
}

// stop ends what was started, the last first, in the order in which clients notice least: say so and serve on for a
// while, take no more connections, let requests finish and cut what is left; then the parts that they needed.
func (a *app) stop() error {
	deadline, cancel := context.WithTimeout(a.shutdown.Immediate, a.delay()+a.settings.Proxy.ShutdownTimeout)
	defer cancel()
	return a.steps.stop(deadline)
}

// delay is how long to go on serving while not ready.
func (a *app) delay() time.Duration {
	if a.shutdown.Delayed() {
		return a.settings.Proxy.ShutdownDelay
	}
	return 0
}

// leave says that this process is going, and serves on for the delay.
func (a *app) leave(deadline context.Context) error {
	a.leaving.Store(true)
	a.proxy.LastAnswers()
	delay := a.delay()
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

// finish lets requests in flight finish, and cuts those that have not at the deadline.
func (a *app) finish(deadline context.Context) error {
	a.log.Info("shutting down: requests in flight may finish", zap.Int64("requests", a.proxy.InFlight()),
		zap.Duration("shutdown_timeout", a.settings.Proxy.ShutdownTimeout))
	if cut := a.proxy.Shutdown(deadline); cut > 0 {
		a.log.Warn("connections cut at shutdown", zap.Int("connections", cut))
	}
	return nil
}
