// Package metrics counts what the proxy did and shows what upstreams and session map hold, for Prometheus. It
// listens to proxy and health, and reads registry, router and map when it is scraped.
//
// Labels are bounded: routes, outcomes, results and reasons are words of tether's own, upstreams are those that are
// configured, keys those in the configured file, and models those that some upstream lists. What a client sends makes no series.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tether/proxy"
	"tether/session"
	"tether/upstream"
)

// Metrics collects. Its methods may be called from any goroutine.
type Metrics struct {
	prometheus *prometheus.Registry
	upstreams  *upstream.Registry
	requests   requests
	tries      tries
	keys       keys
	refused    *prometheus.CounterVec
	accepts    prometheus.Counter
	changes    *prometheus.CounterVec
	probes     *prometheus.CounterVec
	renewals   reloads
}

// New makes the metrics of a process of that version over the upstreams of r.
func New(version string, r *upstream.Registry) *Metrics {
	m := &Metrics{prometheus: prometheus.NewRegistry(), upstreams: r}
	build := gaugeVec(buildInfo)
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.refused, m.changes, m.probes = counterVec(refusedTotal), counterVec(changesTotal), counterVec(probesTotal)
	m.renewals, m.accepts = reloadsOf(certificateReloads), counter(acceptFailures)
	m.prometheus.MustRegister(build, m.accepts, m.refused, m.changes, m.probes, m.renewals.total,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.prometheus.MustRegister(m.requests.init(r)...)
	m.prometheus.MustRegister(m.tries.init(r)...)
	m.prometheus.MustRegister(m.keys.init()...)
	return m
}

// Watch adds what upstreams, proxy and the maps of pins and of stored responses hold when they are asked.
func (m *Metrics) Watch(router *session.Router, pins, stored *session.Map, p *proxy.Proxy) {
	m.prometheus.MustRegister(&state{upstreams: m.upstreams, router: router, pins: pins, stored: stored, proxy: p})
}

// Certificate adds a certificate, by what it is for. expires tells when it is no longer valid; the zero time is none.
func (m *Metrics) Certificate(of string, expires func() time.Time) {
	m.prometheus.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: certificateExpires.name, Help: certificateExpires.help, ConstLabels: prometheus.Labels{"of": of},
	}, func() float64 { return float64(expires().Unix()) }))
}

// CertificateReloaded counts files of certificates that changed, by whether they can be used.
func (m *Metrics) CertificateReloaded(ok bool) { m.renewals.count(ok) }

// reloads counts new contents of files.
type reloads struct {
	total      *prometheus.CounterVec
	ok, failed prometheus.Counter
}

// reloadsOf shows both counts from the start, so that the first failure is seen to be one.
func reloadsOf(d *definition) reloads {
	total := counterVec(d)
	return reloads{total, total.WithLabelValues("ok"), total.WithLabelValues("failed")}
}

func (r *reloads) count(ok bool) {
	if ok {
		r.ok.Inc()
	} else {
		r.failed.Inc()
	}
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.prometheus, promhttp.HandlerOpts{})
}

// Done counts a request that is over. It is proxy.Deps.OnDone.
func (m *Metrics) Done(r *proxy.Record) {
	for _, t := range r.Tries {
		m.tries.count(t)
	}
	m.keys.count(r.Caller)
	m.requests.count(r)
}

// Refused counts a connection or head that was refused. It is proxy.Deps.OnRefused.
func (m *Metrics) Refused(status int, reason string) {
	m.refused.WithLabelValues(statusWord(status), reason).Inc()
}

// AcceptFailed counts a client that could not be accepted. It is wire.ListenConfig.OnFailure.
func (m *Metrics) AcceptFailed() { m.accepts.Inc() }

// Probed counts a probe.
func (m *Metrics) Probed(s *upstream.Server, result string) {
	m.probes.WithLabelValues(s.Name(), result).Inc()
}

// Changed counts a change of upstreams' health.
func (m *Metrics) Changed(c upstream.Change) {
	from, to := c.Before.Health(), c.After.Health()
	if from == to {
		return
	}
	for _, u := range c.Upstreams {
		m.changes.WithLabelValues(u.Name(), healthWords[to]).Inc()
	}
}

var healthWords = [...]string{
	upstream.Unknown: "unknown", upstream.Up: "up", upstream.Down: "down", upstream.TimedOut: "down_timeouts",
}

// Forget drops the series of an upstream or a server that is gone.
func (m *Metrics) Forget(name string) {
	of := prometheus.Labels{"upstream": name}
	m.changes.DeletePartialMatch(of)
	m.probes.DeletePartialMatch(of)
	m.tries.forget(name)
}
