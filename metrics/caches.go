package metrics

import (
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/session/prefill"
	"tether/upstream"
)

// caches counts, by upstream, the tokens that were to be expected in the cache, and those that were there.
type caches struct {
	upstreams       *upstream.Registry
	expected, found *prometheus.CounterVec
	byUpstream      seriesCache[*upstream.Upstream, *expectation]
}

// expectation has the series of one upstream.
type expectation struct{ expected, found prometheus.Counter }

func (c *caches) init(upstreams *upstream.Registry) []prometheus.Collector {
	c.upstreams, c.expected, c.found = upstreams, counterVec(expectedTokens), counterVec(foundTokens)
	return []prometheus.Collector{c.expected, c.found}
}

// count ignores numbers that cannot be true, and a request whose upstream was removed since. See attempts.count.
func (c *caches) count(r *proxy.Record) {
	if r.ExpectedTokens <= 0 || r.CachedTokens < 0 || r.CachedTokens > r.PromptTokens {
		return
	}
	e, ok := c.byUpstream.lookup(r.Upstream)
	if !ok {
		if c.upstreams.Table().Index(r.Upstream.Ref()) < 0 {
			return
		}
		e = c.byUpstream.get(r.Upstream, func() *expectation {
			return &expectation{c.expected.WithLabelValues(r.Upstream.Name()), c.found.WithLabelValues(r.Upstream.Name())}
		})
	}
	e.expected.Add(float64(r.ExpectedTokens))
	e.found.Add(float64(r.CachedTokens))
}

// keep drops the upstreams that are not in stays from the cache.
func (c *caches) keep(stays map[*upstream.Upstream]bool) {
	c.byUpstream.deleteIf(func(u *upstream.Upstream) bool { return !stays[u] })
}

// Models adds the gauges of what was learned about models, which are read at each scrape.
func (m *Metrics) Models(e *prefill.Estimates) { m.prometheus.MustRegister(learned{e}) }

// learned collects what was learned about models that servers list or the configuration names.
type learned struct{ estimates *prefill.Estimates }

// modelGauge is a gauge of one model.
type modelGauge struct {
	desc  *prometheus.Desc
	value func(*prefill.Model) float64
}

var modelGauges = []modelGauge{
	{bytesPerToken.desc(), (*prefill.Model).BytesPerToken},
	{mediaTokens.desc(), (*prefill.Model).MediaTokens},
	{prefillRate.desc(), (*prefill.Model).Rate},
	{warmTokens.desc(), func(m *prefill.Model) float64 { return float64(m.Caches.Report().Warm) }},
	{warmSeconds.desc(), func(m *prefill.Model) float64 { return m.Caches.Report().Within.Seconds() }},
	{fitTokens.desc(), func(m *prefill.Model) float64 { return float64(m.Caches.Report().Fit) }},
	{shortfall.desc(), func(m *prefill.Model) float64 { return m.Caches.Report().Shortfall }},
	{overrun.desc(), func(m *prefill.Model) float64 { return boolValue(m.Caches.Report().Overrun) }},
}

// Describe implements prometheus.Collector.
func (learned) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range modelGauges {
		ch <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (l learned) Collect(ch chan<- prometheus.Metric) {
	l.estimates.Each(func(name string, model *prefill.Model) {
		if len(name) > maxModelName || !utf8.ValidString(name) {
			return
		}
		for _, g := range modelGauges {
			ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value(model), name)
		}
	})
}
