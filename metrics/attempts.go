package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/upstream"
)

// attempts counts attempts to forward requests to upstreams.
type attempts struct {
	upstreams *upstream.Registry
	total     *prometheus.CounterVec
	byTry     seriesCache[proxy.Try, prometheus.Counter]
}

func (a *attempts) init(upstreams *upstream.Registry) []prometheus.Collector {
	a.upstreams, a.total = upstreams, counterVec(attemptsTotal)
	return []prometheus.Collector{a.total}
}

// count ignores an attempt whose upstream was removed since: it would recreate the series that forget deleted.
func (a *attempts) count(try proxy.Try) {
	c, ok := a.byTry.lookup(try)
	if !ok {
		if m := a.upstreams.Table().Named(try.Upstream.Name()); m == nil || m.Upstream != try.Upstream {
			return
		}
		c = a.byTry.get(try, func() prometheus.Counter {
			return a.total.WithLabelValues(try.Upstream.Name(), try.Failure.Word())
		})
	}
	c.Inc()
}

func (a *attempts) forget(name string) {
	a.byTry.deleteIf(func(try proxy.Try) bool { return try.Upstream.Name() == name })
	a.total.DeletePartialMatch(prometheus.Labels{"upstream": name})
}
