package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/session/fates"
)

// WatchFates adds the fates of prompts to the metrics: Done counts them in t, and each scrape reads t. It must be called before Done.
func (m *Metrics) WatchFates(t *fates.Tally) {
	m.fates = t
	m.prometheus.MustRegister(fateCounters{t})
}

// countFates ignores a request whose upstream was removed since. See attempts.count.
func (m *Metrics) countFates(r *proxy.Record) {
	if m.fates == nil || r.Fates == (fates.Split{}) || m.upstreams.Table().Index(r.Upstream.Ref()) < 0 {
		return
	}
	m.fates.Add(r.Upstream.Name(), &r.Fates, r.Saved, r.Started.Add(r.Duration))
}

// fateCounters collects the totals of a tally.
type fateCounters struct{ tally *fates.Tally }

var fateDesc = fateTokens.desc()

// Describe implements prometheus.Collector.
func (fateCounters) Describe(ch chan<- *prometheus.Desc) { ch <- fateDesc }

// Collect implements prometheus.Collector. An upstream whose responses never say how many tokens were cached has the series unknown alone.
func (c fateCounters) Collect(ch chan<- prometheus.Metric) {
	c.tally.Each(time.Now(), func(upstream string, total, _ fates.Counts) {
		send := func(tokens int64, fate fates.Fate, reason fates.Reason) {
			ch <- prometheus.MustNewConstMetric(fateDesc, prometheus.CounterValue, float64(tokens), upstream, fate.String(), reason.String())
		}
		reported := total.Reported() > 0
		for f, tokens := range total.Tokens {
			if fate := fates.Fate(f); fate != fates.Moved && (reported || fate == fates.Unknown) {
				send(tokens, fate, 0)
			}
		}
		for r, tokens := range total.Moved {
			if tokens > 0 {
				send(tokens, fates.Moved, fates.Reason(r))
			}
		}
	})
}
