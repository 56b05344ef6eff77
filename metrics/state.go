package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/session"
	"tether/upstream"
)

// state is the collector of what is there now, as opposed to what has happened. Series of upstreams that are gone
// vanish with them.
type state struct {
	registry *upstream.Registry
	pins     *session.Map
	proxy    *proxy.Proxy
}

var (
	upDesc        = prometheus.NewDesc("tether_upstream_up", "1 when health finds the upstream up.", []string{"upstream"}, nil)
	inFlightDesc  = prometheus.NewDesc("tether_upstream_requests_in_flight", "Requests in flight at the upstream.", []string{"upstream"}, nil)
	pinsDesc      = prometheus.NewDesc("tether_upstream_pins", "Sessions pinned to the upstream.", []string{"upstream"}, nil)
	sessionsDesc  = prometheus.NewDesc("tether_sessions", "Pins in the session map.", nil, nil)
	probationDesc = prometheus.NewDesc("tether_sessions_on_probation", "Pins of made-up ids that were used once.", nil, nil)
	evictedDesc   = prometheus.NewDesc("tether_sessions_evicted_total", "Pins that went, by cause.", []string{"cause"}, nil)
	requestsDesc  = prometheus.NewDesc("tether_requests_in_flight", "Requests in flight.", nil, nil)
	clientsDesc   = prometheus.NewDesc("tether_connections", "Clients' connections.", nil, nil)
	bodiesDesc    = prometheus.NewDesc("tether_request_bodies_bytes", "Memory that buffered request bodies take.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		upDesc, inFlightDesc, pinsDesc, sessionsDesc, probationDesc, evictedDesc, requestsDesc, clientsDesc, bodiesDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, m := range s.registry.Table().Members {
		up := 0.0
		if m.State().Health() == upstream.Up {
			up = 1
		}
		gauge(upDesc, up, m.Name())
		gauge(inFlightDesc, float64(m.InFlight()), m.Name())
		gauge(pinsDesc, float64(s.pins.Pins(m.Ref())), m.Name())
	}
	stats := s.pins.Stats()
	gauge(sessionsDesc, float64(stats.Pins))
	gauge(probationDesc, float64(stats.Probation))
	for i, cause := range session.Causes {
		ch <- prometheus.MustNewConstMetric(evictedDesc, prometheus.CounterValue, float64(stats.Evicted[i]), cause)
	}
	gauge(requestsDesc, float64(s.proxy.InFlight()))
	gauge(clientsDesc, float64(s.proxy.Connections()))
	gauge(bodiesDesc, float64(s.proxy.BodyBytes()))
}
