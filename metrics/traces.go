package metrics

import (
	"encoding/hex"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
)

// observe observes a time of a request, with the id of its trace as an exemplar if it is traced.
func observe(o prometheus.Observer, took time.Duration, r *proxy.Record) {
	if r.Trace.Sampled { // first: to ask for an interface costs more
		if with, can := o.(prometheus.ExemplarObserver); can {
			with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": hex.EncodeToString(r.Trace.Trace[:])})
			return
		}
	}
	o.Observe(took.Seconds())
}

// WatchTraces adds the numbers of spans by result, which counts returns at each scrape in the order of results.
func (m *Metrics) WatchTraces(results []string, counts func() []uint64) {
	m.prometheus.MustRegister(&traceCounters{results, counts})
}

// traceCounters collects the numbers of spans.
type traceCounters struct {
	results []string
	counts  func() []uint64
}

var traceDesc = traceSpans.desc()

// Describe implements prometheus.Collector.
func (*traceCounters) Describe(ch chan<- *prometheus.Desc) { ch <- traceDesc }

// Collect implements prometheus.Collector.
func (t *traceCounters) Collect(ch chan<- prometheus.Metric) {
	for i, n := range t.counts() {
		ch <- prometheus.MustNewConstMetric(traceDesc, prometheus.CounterValue, float64(n), t.results[i])
	}
}
