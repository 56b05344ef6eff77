package app

import (
	"fmt"

	"go.uber.org/zap"

	"tether/accesslog"
)

// apply brings settings into force while requests are served, and returns when the probers of removed servers have ended. The start
// calls it with the settings that the parts were built with. An error changes nothing. a.applying is held, once clients are served.
//
// Requests that have begun keep the settings and the upstreams that they began with. Pins to upstreams that stay are kept; an
// upstream stays if its name, address and rank do. Requests in flight at removed servers may finish within proxy.shutdown_timeout.
func (a *app) apply(s *settings) error {
	before := a.registry.Table()
	if err := a.graph.apply(s); err != nil {
		return err
	}
	a.saved.restore()
	table := a.registry.Table()
	a.shared.upstreams(before, table)
	a.log.Info("ring", zap.Int("upstreams", len(table.Members)), zap.String("digest", fmt.Sprintf("%016x", a.router.Digest())),
		zap.Bool("affinity", s.Session.Routing.Affinity))
	mode, _ := accesslog.ParseMode(s.Log.Access) // a valid configuration has one
	a.access.Use(mode)
	a.files.show(s)
	a.monitor.Use(table, s.Health) // the changes that it logs belong after the ring
	a.metrics.Forget(before, table)
	a.status.Replaced(before, table)
	return nil
}
