package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
	"tether/upstream"
)

// attempts counts attempts to forward requests to upstreams.
type attempts struct {
	upstreams *upstream.Registry
	total     *prometheus.CounterVec
	words     sync.Map // the results of attempts, probes and changes of health that have series, as strings
	byEnd     seriesCache[end, prometheus.Counter]
}

// end is how an attempt ended.
type end struct {
	at      *upstream.Upstream
	failure uint8 // a failure.Kind
}

func (a *attempts) init(upstreams *upstream.Registry) []prometheus.Collector {
	a.upstreams, a.total = upstreams, counterVec(attemptsTotal)
	return []prometheus.Collector{a.total}
}

// count ignores an attempt whose upstream was removed since: it would recreate the series that Metrics.Forget deleted.
func (a *attempts) count(one proxy.Try) {
	e := end{one.Upstream, uint8(one.Failure)}
	c, ok := a.byEnd.lookup(e)
	if !ok {
		if a.upstreams.Table().Index(e.at.Ref()) < 0 {
			return
		}
		c = a.byEnd.get(e, func() prometheus.Counter {
			a.words.Store(one.Failure.Word(), true)
			return a.total.WithLabelValues(e.at.Name(), one.Failure.Word())
		})
	}
	c.Inc()
}

// keep drops the upstreams that are not in stays from the cache.
func (a *attempts) keep(stays map[*upstream.Upstream]bool) {
	a.byEnd.deleteIf(func(e end) bool { return !stays[e.at] })
}
