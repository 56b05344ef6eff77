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

var stateDescs = describe(
	upstreamUp, upstreamState, upstreamInFlight, upstreamLimit, upstreamBacklog, upstreamPins, upstreamActive,
	engineRunning, engineWaiting, engineKVUsage, engineKVSize, sessionsNow, sessionsMax, probationNow, evictionsTotal,
	storedNow, storedMax, storedEvicted, requestsNow, wideNow, connectionsNow, idleClosed, displaced, bodiesNow, replicasSuspected, ringInfo,
)

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) { stateDescs.show(ch) }

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	emit := func(d *definition, v float64, labels ...string) { stateDescs.emit(ch, d, v, labels...) }
	members := s.upstreams.Table().Members
	for i := range members {
		s.upstream(&members[i], emit)
	}
	evicted := func(d *definition, stats pins.Stats) {
		for i, cause := range pins.Causes {
			emit(d, float64(stats.Evicted[i]), cause)
		}
	}
	sessions, stored := s.sessions.Stats(), s.stored.Stats()
	emit(sessionsNow, float64(sessions.Pins))
	emit(sessionsMax, float64(s.sessions.Max()))
	emit(probationNow, float64(sessions.Probation))
	evicted(evictionsTotal, sessions)
	emit(storedNow, float64(stored.Pins))
	emit(storedMax, float64(s.stored.Max()))
	evicted(storedEvicted, stored)
	emit(requestsNow, float64(s.proxy.InFlight()))
	emit(wideNow, float64(s.openings.Wide()))
	emit(connectionsNow, float64(s.proxy.Connections()))
	emit(idleClosed, float64(s.proxy.IdleClosed()))
	emit(displaced, float64(s.proxy.Displaced()))
	emit(bodiesNow, float64(s.proxy.BodyBytes()))
	emit(replicasSuspected, boolValue(s.router.Replicas.Suspected()))
	emit(ringInfo, 1, fmt.Sprintf("%016x", s.router.Digest()))
}

func (s *state) upstream(m *upstream.Member, emit func(*definition, float64, ...string)) {
	now := m.State()
	emit(upstreamUp, boolValue(now.Health() == upstream.Up), m.Name())
	for state, active := range map[string]bool{
		"draining": now.Draining(), "draining_hard": now.DrainingHard(), "suspect": now.Suspect(), "leaving": now.Leaving(),
	} {
		emit(upstreamState, boolValue(active), m.Name(), state)
	}
	emit(upstreamInFlight, float64(m.InFlight()), m.Name())
	emit(upstreamLimit, float64(m.MaxInFlight()), m.Name())
	emit(upstreamBacklog, session.BacklogSeconds(m.Upstream, time.Now()), m.Name())
	emit(upstreamPins, float64(s.sessions.Pins(m.Ref())), m.Name())
	emit(upstreamActive, float64(pins.Active(s.sessions, m.Ref(), pins.MaxActive, time.Now())), m.Name())
	engine(m, emit)
}

// engine collects what a server says of an upstream's engine, as far as it is known.
func engine(m *upstream.Member, emit func(*definition, float64, ...string)) {
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
			emit(f.d, f.value, m.Name())
		}
	}
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
