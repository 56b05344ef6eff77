package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/session/fates"
	"tether/upstream"
)

// countFates ignores a request whose upstream was removed since. See attempts.count.
func countFates(to *fates.Tally, r *proxy.Record, upstreams *upstream.Table) {
	if r.Fates != (fates.Split{}) && upstreams.Index(r.Upstream.Ref()) >= 0 {
		to.Of(r.Upstream.Name()).Add(&r.Fates, r.Saved, 0, 0, r.Started.Add(r.Duration))
	}
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
