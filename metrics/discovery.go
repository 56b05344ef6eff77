package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is the state of a source of upstreams. Its label is from the configuration.
type Source struct {
	Label       string
	Upstreams   int
	Failures    uint64
	LastSuccess time.Time
}

// WatchSources adds the metrics of the sources of upstreams, which all returns at each scrape.
func (m *Metrics) WatchSources(all func() []Source) {
	m.prometheus.MustRegister(&discoverySources{all: all})
}

// discoverySources collects the state of the sources.
type discoverySources struct{ all func() []Source }

var (
	sourceUpstreamsDesc = sourceUpstreams.desc()
	sourceSuccessDesc   = sourceSuccess.desc()
	sourceErrorsDesc    = sourceErrors.desc()
)

// Describe implements prometheus.Collector.
func (d *discoverySources) Describe(ch chan<- *prometheus.Desc) {
	ch <- sourceUpstreamsDesc
	ch <- sourceSuccessDesc
	ch <- sourceErrorsDesc
}

// Collect implements prometheus.Collector.
func (d *discoverySources) Collect(ch chan<- prometheus.Metric) {
	for _, s := range d.all() {
		success := 0.0
		if !s.LastSuccess.IsZero() {
			success = float64(s.LastSuccess.UnixMilli()) / 1000
		}
		ch <- prometheus.MustNewConstMetric(sourceUpstreamsDesc, prometheus.GaugeValue, float64(s.Upstreams), s.Label)
		ch <- prometheus.MustNewConstMetric(sourceSuccessDesc, prometheus.GaugeValue, success, s.Label)
		ch <- prometheus.MustNewConstMetric(sourceErrorsDesc, prometheus.CounterValue, float64(s.Failures), s.Label)
	}
}
