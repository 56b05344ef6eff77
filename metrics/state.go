package metrics

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/session"
	"tether/session/openings"
	"tether/session/pins"
	"tether/upstream"
)

// state collects the gauges of the present moment, and the counters that other packages keep. The series of a removed
// upstream disappear with the upstream.
type state struct {
	upstreams *upstream.Registry
	router    *session.Router
	sessions  *pins.Map
	stored    *pins.Map
	openings  *openings.Table
	proxy     *proxy.Proxy
}

var stateDescs = func() map[*definition]*prometheus.Desc {
	descs := map[*definition]*prometheus.Desc{}
	for _, d := range []*definition{
		upstreamUp, upstreamState, upstreamInFlight, upstreamLimit, upstreamBacklog, upstreamPins, upstreamActive,
		engineRunning, engineWaiting, engineKVUsage, engineKVSize, sessionsNow, sessionsMax, probationNow, evictionsTotal,
		storedNow, storedMax, storedEvicted, requestsNow, wideNow, connectionsNow, idleClosed, displaced, bodiesNow, replicasSuspected, ringInfo,
	} {
		descs[d] = d.desc()
	}
	return descs
}()

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range stateDescs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *definition, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(stateDescs[d], prometheus.GaugeValue, v, labels...)
	}
	members := s.upstreams.Table().Members
	for i := range members {
		s.upstream(&members[i], gauge)
	}
	evicted := func(d *definition, stats pins.Stats) {
		for i, cause := range pins.Causes {
			ch <- prometheus.MustNewConstMetric(stateDescs[d], prometheus.CounterValue, float64(stats.Evicted[i]), cause)
		}
	}
	sessions, stored := s.sessions.Stats(), s.stored.Stats()
	gauge(sessionsNow, float64(sessions.Pins))
	gauge(sessionsMax, float64(s.sessions.Max()))
	gauge(probationNow, float64(sessions.Probation))
	evicted(evictionsTotal, sessions)
	gauge(storedNow, float64(stored.Pins))
	gauge(storedMax, float64(s.stored.Max()))
	evicted(storedEvicted, stored)
	gauge(requestsNow, float64(s.proxy.InFlight()))
	gauge(wideNow, float64(s.openings.Wide()))
	gauge(connectionsNow, float64(s.proxy.Connections()))
	ch <- prometheus.MustNewConstMetric(stateDescs[idleClosed], prometheus.CounterValue, float64(s.proxy.IdleClosed()))
	ch <- prometheus.MustNewConstMetric(stateDescs[displaced], prometheus.CounterValue, float64(s.proxy.Displaced()))
	gauge(bodiesNow, float64(s.proxy.BodyBytes()))
	gauge(replicasSuspected, boolValue(s.router.Replicas.Suspected()))
	gauge(ringInfo, 1, fmt.Sprintf("%016x", s.router.Digest()))
}

func (s *state) upstream(m *upstream.Member, gauge func(*definition, float64, ...string)) {
	now := m.State()
	gauge(upstreamUp, boolValue(now.Health() == upstream.Up), m.Name())
	for state, active := range map[string]bool{
		"draining": now.Draining(), "draining_hard": now.DrainingHard(), "suspect": now.Suspect(), "leaving": now.Leaving(),
	} {
		gauge(upstreamState, boolValue(active), m.Name(), state)
	}
	gauge(upstreamInFlight, float64(m.InFlight()), m.Name())
	gauge(upstreamLimit, float64(m.MaxInFlight()), m.Name())
	gauge(upstreamBacklog, session.BacklogSeconds(m.Upstream, time.Now()), m.Name())
	gauge(upstreamPins, float64(s.sessions.Pins(m.Ref())), m.Name())
	gauge(upstreamActive, float64(pins.Active(s.sessions, m.Ref(), pins.MaxActive, time.Now())), m.Name())
	engine(m, gauge)
}

// engine collects what a server says of an upstream's engine, as far as it is known.
func engine(m *upstream.Member, gauge func(*definition, float64, ...string)) {
	l, _ := m.EngineLoad(time.Now())
	for _, f := range []struct {
		d     *definition
		value float64
		known bool
	}{
		{engineRunning, float64(l.Running), l.Running >= 0},
		{engineWaiting, float64(l.Waiting), l.Waiting >= 0},
		{engineKVUsage, l.KVUsage, l.KVUsage >= 0},
		{engineKVSize, float64(m.KVCapacity()), m.KVCapacity() > 0},
	} {
		if f.known {
			gauge(f.d, f.value, m.Name())
		}
	}
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
