package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tether/session/fates"
)

// tokenCounters collects the totals of a tally.
type tokenCounters struct{ tally *fates.Tally }

var tokenDescs = describe(fateTokens, expectedTokens, foundTokens)

// Describe implements prometheus.Collector.
func (tokenCounters) Describe(ch chan<- *prometheus.Desc) { tokenDescs.show(ch) }

// Collect implements prometheus.Collector. An upstream whose responses never say how many tokens were cached has the series unknown alone.
func (c tokenCounters) Collect(ch chan<- prometheus.Metric) {
	emit := func(d *definition, tokens int64, labels ...string) {
		tokenDescs.emit(ch, d, float64(tokens), labels...)
	}
	c.tally.Each(time.Now(), func(upstream string, total, _ fates.Counts) {
		if total.Expected > 0 {
			emit(expectedTokens, total.Expected, upstream)
			emit(foundTokens, total.Found, upstream)
		}
		reported := total.Reported() > 0
		for f, tokens := range total.Tokens {
			if fate := fates.Fate(f); fate != fates.Moved && (reported || tokens > 0) {
				emit(fateTokens, tokens, upstream, fate.String(), "")
			}
		}
		for r, tokens := range total.Moved {
			if tokens > 0 {
				emit(fateTokens, tokens, upstream, fates.Moved.String(), fates.Reason(r).String())
			}
		}
	})
}
