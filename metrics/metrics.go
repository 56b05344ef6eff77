// Package metrics exports tether's metrics to Prometheus. The proxy and the health monitor call it for every event that
// it counts. It reads gauges from the registry, the router, the maps and the proxy when Prometheus scrapes it.
//
// The number of series is bounded: a client cannot create one. Routes, outcomes, results and reasons are words of
// tether. Upstreams and API keys come from the configuration, models from the upstreams' lists.
//
// The gauges of state.go are tested on a running tether, by TestAdmin.
package metrics

import (
	"net/http"
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tether/proxy"
	"tether/session"
	"tether/session/fates"
	"tether/session/openings"
	"tether/session/pins"
	"tether/upstream"
)

// Metrics holds all metrics of a process. All its methods are safe for concurrent use.
type Metrics struct {
	// Fates has what became of the tokens of prompts, by upstream. New sets it, and Done counts there.
	Fates *fates.Tally

	prometheus     *prometheus.Registry
	upstreams      *upstream.Registry
	seats          seats
	requests       requests
	keys           keys
	refused        *prometheus.CounterVec
	acceptFailures prometheus.Counter
	changes        *prometheus.CounterVec
	probes         *prometheus.CounterVec
	certificates   certificates
	configuration  configuration
	snapshots      snapshots
}

// New returns the metrics of a tether of the given version, for the upstreams of r.
func New(version string, r *upstream.Registry) *Metrics {
	m := &Metrics{prometheus: prometheus.NewRegistry(), upstreams: r, Fates: fates.NewTally()}
	build := gaugeVec(buildInfo)
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.refused, m.changes, m.probes = counterVec(refusedTotal), counterVec(changesTotal), counterVec(probesTotal)
	m.acceptFailures = counter(acceptFailures)
	m.prometheus.MustRegister(build, m.acceptFailures, m.refused, m.changes, m.probes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.prometheus.MustRegister(m.seats.init(r, m.Fates)...)
	m.prometheus.MustRegister(tokenCounters{m.Fates})
	m.prometheus.MustRegister(m.requests.init(r)...)
	m.prometheus.MustRegister(m.keys.init()...)
	m.prometheus.MustRegister(m.certificates.init()...)
	m.prometheus.MustRegister(m.configuration.init()...)
	m.prometheus.MustRegister(m.snapshots.init()...)
	return m
}

// Watch adds the gauges that are read at each scrape, from the upstreams, the router, both maps, the openings and the proxy.
func (m *Metrics) Watch(router *session.Router, sessions, stored *pins.Map, known *openings.Table, p *proxy.Proxy) {
	m.prometheus.MustRegister(&state{upstreams: m.upstreams, router: router, sessions: sessions, stored: stored, openings: known, proxy: p})
}

// WatchPages adds the gauge of the open status pages.
func WatchPages(m *Metrics, open func() int) {
	m.prometheus.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: statusPages.name, Help: statusPages.help}, func() float64 { return float64(open()) }))
}

// Log adds a log under the label value name. dropped returns how many lines the log has dropped so far.
func (m *Metrics) Log(name string, dropped func() uint64) {
	m.prometheus.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: linesDropped.name, Help: linesDropped.help, ConstLabels: prometheus.Labels{"log": name},
	}, func() float64 { return float64(dropped()) }))
}

// Handler returns the HTTP handler for scrapes. A scraper that accepts OpenMetrics gets it, with exemplars.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.prometheus, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Done counts a completed request. It is for proxy.Deps.OnDone.
func (m *Metrics) Done(r *proxy.Record) {
	for _, t := range r.Tries {
		m.seats.countAttempt(t)
	}
	m.seats.countPrompt(r)
	m.keys.count(r)
	m.requests.count(r)
}

// Refused counts a refused connection or request head. It is for proxy.Deps.OnRefused.
func (m *Metrics) Refused(status int, reason string) {
	m.refused.WithLabelValues(strconv.Itoa(status), reason).Inc()
}

// AcceptFailed counts a failed accept. It is for wire.ListenConfig.OnFailure.
func (m *Metrics) AcceptFailed() { m.acceptFailures.Inc() }

// Probed counts a health probe of s.
func (m *Metrics) Probed(s *upstream.Server, result string) {
	m.seats.words.Store(result, true)
	m.probes.WithLabelValues(s.Name(), result).Inc()
}

// Changed counts c if it changes the health of upstreams.
func (m *Metrics) Changed(c upstream.Change) {
	from, to := c.Before.Health(), c.After.Health()
	if from == to {
		return
	}
	for _, u := range c.Upstreams {
		m.seats.words.Store(healthWords[to], true)
		m.changes.WithLabelValues(u.Name(), healthWords[to]).Inc()
	}
}

var healthWords = [...]string{
	upstream.Unknown: "unknown", upstream.Up: "up", upstream.Down: "down", upstream.TimedOut: "down_timeouts",
}

// Forget deletes the series of the upstreams and servers of before whose names after no longer has. An upstream that another one
// of its name replaced hands its series on. No prober of the removed servers runs any more.
func (m *Metrics) Forget(before, after *upstream.Table) {
	names := map[string]bool{}
	for _, one := range before.Members {
		names[one.Name()] = true
	}
	for _, s := range before.Servers {
		names[s.Name()] = true
	}
	stays := make(map[*upstream.Upstream]bool, len(after.Members))
	for _, one := range after.Members {
		stays[one.Upstream] = true
		delete(names, one.Name())
		delete(names, one.Server.Name())
	}
	m.seats.keep(stays)
	m.Fates.Keep(func(name string) bool { return !names[name] })
	for name := range names {
		for word := range m.seats.words.Range { // a search for all series with the name would look at those of all upstreams
			for _, vec := range []*prometheus.CounterVec{m.changes, m.probes, m.seats.attempts} {
				vec.DeleteLabelValues(name, word.(string))
			}
		}
	}
}
