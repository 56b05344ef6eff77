package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tether/session/store"
)

// WatchStore adds to m the metrics of the store, which report returns at each scrape.
func WatchStore(m *Metrics, report func(time.Time) store.Report) {
	m.prometheus.MustRegister(&storeState{report: report})
}

// storeState collects the state of the store.
type storeState struct {
	report func(time.Time) store.Report
}

var storeDescs = func() map[*definition]*prometheus.Desc {
	descs := map[*definition]*prometheus.Desc{}
	for _, d := range []*definition{storeUp, storeEntryAge, storeReplicas, storeSubjects, storeUnderWay, storeDropped, storeSent, storeReceived, storeIgnored} {
		descs[d] = d.desc()
	}
	return descs
}()

// Describe implements prometheus.Collector.
func (s *storeState) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range storeDescs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *storeState) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	r := s.report(now)
	emit := func(d *definition, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(storeDescs[d], kind, v, labels...)
	}
	alive := 0
	for _, p := range r.Peers {
		if p.Alive {
			alive++
		}
	}
	age := -1.0
	if !r.LastEntry.IsZero() {
		age = now.Sub(r.LastEntry).Seconds()
	}
	emit(storeUp, prometheus.GaugeValue, boolValue(r.Trouble == ""))
	emit(storeEntryAge, prometheus.GaugeValue, age)
	emit(storeReplicas, prometheus.GaugeValue, float64(alive))
	emit(storeSubjects, prometheus.GaugeValue, float64(r.Ledger.Subjects))
	emit(storeUnderWay, prometheus.GaugeValue, float64(r.Ledger.UnderWay))
	emit(storeDropped, prometheus.CounterValue, float64(r.Dropped))
	emit(storeSent, prometheus.CounterValue, float64(r.Counts.Sent))
	emit(storeReceived, prometheus.CounterValue, float64(r.Counts.Received))
	for reason, n := range map[string]uint64{"damaged": r.Counts.Damaged, "version": r.Counts.OtherVersion, "secret": r.Counts.OtherSecret} {
		emit(storeIgnored, prometheus.CounterValue, float64(n), reason)
	}
}
