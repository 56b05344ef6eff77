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

var storeDescs = describe(storeUp, storeEntryAge, storeReplicas, storeSubjects, storeUnderWay, storeDropped, storeSent, storeReceived, storeIgnored, storeTellers, storeReports, storeReportsIgnored)

// Describe implements prometheus.Collector.
func (s *storeState) Describe(ch chan<- *prometheus.Desc) { storeDescs.show(ch) }

// Collect implements prometheus.Collector.
func (s *storeState) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	r := s.report(now)
	emit := func(d *definition, v float64, labels ...string) { storeDescs.emit(ch, d, v, labels...) }
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
	emit(storeUp, boolValue(r.Trouble == ""))
	emit(storeEntryAge, age)
	emit(storeReplicas, float64(alive))
	emit(storeSubjects, float64(r.Ledger.Subjects))
	emit(storeUnderWay, float64(r.Ledger.UnderWay))
	emit(storeDropped, float64(r.Dropped))
	emit(storeSent, float64(r.Counts.Sent))
	emit(storeReceived, float64(r.Counts.Received))
	emit(storeTellers, float64(r.Tellers))
	emit(storeReports, float64(r.Counts.Reports))
	emit(storeReportsIgnored, float64(r.Counts.ReportsIgnored))
	for reason, n := range map[string]uint64{"damaged": r.Counts.Damaged, "version": r.Counts.OtherVersion, "secret": r.Counts.OtherSecret} {
		emit(storeIgnored, float64(n), reason)
	}
}
