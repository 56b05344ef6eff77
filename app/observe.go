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
	fields := []zap.Field{
		zap.String("upstream", c.Name()), zap.String("from", c.Before.Words()), zap.String("to", c.After.Words()), zap.String("reason", c.Reason),
	}
	if n := len(c.Upstreams); n > 1 {
		fields = append(fields, zap.Int("ranks", n))
	}
	a.log.Info("upstream changed", fields...)
}
