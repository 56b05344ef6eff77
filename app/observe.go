package app

import (
	"go.uber.org/zap"

	"tether/proxy"
	"tether/upstream"
)

// done is called at the end of every request.
func (a *app) done(r *proxy.Record) {
	a.metrics.Done(r)
	a.access.Done(r)
	a.status.Done(r)
	if a.traces != nil {
		a.traces.Done(r)
	}
	if r.Hot > 0 {
		a.hot.done(r)
	}
}

// warned is called with what an operator should know about an upstream.
func (a *app) warned(s *upstream.Server, text string) {
	a.log.Warn("upstream warning", zap.String("upstream", s.Name()), zap.String("warning", text))
}

// changed is called with every change of an upstream's state. One change may be that of all ranks of a server.
func (a *app) changed(c upstream.Change) {
	a.metrics.Changed(c)
	a.status.Changed(c)
	fields := []zap.Field{
		zap.String("upstream", c.Name()), zap.String("from", c.Before.Words()), zap.String("to", c.After.Words()), zap.String("reason", c.Reason),
	}
	if n := len(c.Upstreams); n > 1 {
		fields = append(fields, zap.Int("ranks", n))
	}
	a.log.Info("upstream changed", fields...)
}

// replicasChanged is called when this tether finds out that it is one of several that do not share their pins, or no longer.
func (a *app) replicasChanged(suspected bool, share float64) {
	inForce, _ := a.router.Placement()
	fields := []zap.Field{zap.String("placement", string(inForce)), zap.Float64("strange_follow_ups", share)}
	if !suspected {
		a.status.Happened("replicas", "this tether seems to be alone again")
		a.log.Info("this tether seems to be alone again", fields...)
		return
	}
	a.status.Happened("replicas", "this tether seems to be one of several that do not share their pins")
	a.log.Warn("this tether seems to be one of several that do not share their pins: give all of them session.placement: home, or the load balancer an affinity", fields...)
}
