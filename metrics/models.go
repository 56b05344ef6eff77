package metrics

import (
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"tether/session/prefill"
)

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
