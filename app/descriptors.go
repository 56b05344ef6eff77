package app

import (
	"context"
	"math"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// descriptorsEvery is how often tether looks at its limit of descriptors. A look costs one system call.
const descriptorsEvery = time.Second

// descriptorLimit returns how many descriptors the process may have. Go has raised the soft limit to the hard one at its start.
func descriptorLimit() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// limitConnections lowers the connections of s to what the descriptors of the process allow now.
func limitConnections(s *settings) {
	s.descriptors = descriptorLimit()
	s.connections = s.Proxy.ConnectionsWithin(s.descriptors, len(s.specs))
}

// followDescriptors keeps the connections of clients within the descriptors of the process, until ctx ends: others may change that limit while
// tether runs.
func followDescriptors(ctx context.Context, a *app) error {
	tick := time.NewTicker(descriptorsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := useDescriptors(a); err != nil {
				return err
			}
		}
	}
}

// useDescriptors brings settings for the present limit of descriptors into force, if that limit has changed.
func useDescriptors(a *app) error {
	a.applying.Lock()
	defer a.applying.Unlock()
	before := a.settings.Load()
	if before.descriptors == descriptorLimit() {
		return nil
	}
	next := *before
	limitConnections(&next)
	a.settings.Store(&next)
	if err := a.proxy.Use(next.proxy()); err != nil {
		return err
	}
	if next.connections != before.connections {
		a.log.Info("the limit of descriptors has changed", zap.Int("descriptors", next.descriptors), zap.Int("connections", next.connections))
		warnOfDescriptors(a.log, &next)
	}
	return nil
}

// warnOfDescriptors logs that the descriptors of the process allow fewer connections than the configuration, if they do.
func warnOfDescriptors(log *zap.Logger, s *settings) {
	if s.connections < s.Proxy.MaxConnections {
		log.Warn("descriptors allow fewer client connections than proxy.max_connections: raise LimitNOFILE= or ulimit -n",
			zap.Int("descriptors", s.descriptors), zap.Int("max_connections", s.Proxy.MaxConnections), zap.Int("in_force", s.connections))
	}
}
