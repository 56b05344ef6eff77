// Package metrics counts what the proxy did and shows what upstreams and session map hold, for Prometheus. It
// listens to proxy, and reads registry, router and map when it is scraped.
package metrics

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tether/proxy"
	"tether/session"
	"tether/upstream"
)

// Metrics collects. Its methods may be called from any goroutine.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	refused   *prometheus.CounterVec
	attempts  prometheus.Counter
	replays   prometheus.Counter
	ignored   prometheus.Counter
	firstByte prometheus.Histogram
	duration  prometheus.Histogram
	changes   *prometheus.CounterVec
}

// seconds are the buckets of times: 1 ms to 10 min.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// New makes the metrics of a process of that version.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tether_requests_total",
			Help: "Requests that are over, by what affinity came to, status and reason. Status 499: the client left.",
		}, []string{"route", "outcome", "status", "reason"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tether_refused_total", Help: "Connections and heads refused before there was a request.",
		}, []string{"status", "reason"}),
		attempts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tether_attempts_total", Help: "Attempts at upstreams.",
		}),
		replays: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tether_replays_total", Help: "Attempts on a fresh connection after the upstream had closed an idle one.",
		}),
		ignored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tether_session_ids_ignored_total", Help: "Session ids that were passed over: invalid, or two different ones in one header.",
		}),
		firstByte: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tether_first_byte_seconds", Help: "Time from a request's head to the first byte of its answer's body.", Buckets: seconds,
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tether_request_seconds", Help: "Time from a request's head to the end of its answer.", Buckets: seconds,
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tether_upstream_changes_total", Help: "Changes of upstreams' health.",
		}, []string{"upstream", "to"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tether_build_info", Help: "1, labelled with the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.refused, m.attempts, m.replays, m.ignored, m.firstByte, m.duration, m.changes, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Done counts a request that is over. It is proxy.Deps.OnDone.
func (m *Metrics) Done(r *proxy.Record) {
	m.requests.WithLabelValues(r.Route, r.Outcome.String(), strconv.Itoa(r.Status), r.Reason).Inc()
	m.attempts.Add(float64(r.Attempts))
	m.replays.Add(float64(r.Replays))
	m.ignored.Add(float64(r.Ignored))
	if r.FirstByte > 0 {
		m.firstByte.Observe(r.FirstByte.Seconds())
	}
	m.duration.Observe(r.Duration.Seconds())
}

// Refused counts a connection or head that was refused. It is proxy.Deps.OnRefused.
func (m *Metrics) Refused(status int, reason string) {
	m.refused.WithLabelValues(strconv.Itoa(status), reason).Inc()
}

// Changed counts a change of an upstream's health.
func (m *Metrics) Changed(c upstream.Change) {
	if from, to := c.Before.Health(), c.After.Health(); from != to {
		m.changes.WithLabelValues(c.Upstream.Name(), healthWord(to)).Inc()
	}
}

// Watch adds what upstreams, session map and proxy hold when they are asked.
func (m *Metrics) Watch(registry *upstream.Registry, pins *session.Map, p *proxy.Proxy) {
	m.registry.MustRegister(&state{registry: registry, pins: pins, proxy: p})
}

func healthWord(h upstream.Health) string {
	return [...]string{"unknown", "up", "down", "down_timeouts"}[h]
}
