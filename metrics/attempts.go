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
	words     sync.Map                                   // the results of attempts, probes and changes of health that have series, as strings
	byTry     seriesCache[proxy.Try, prometheus.Counter] // without times: the cache forgets no key
}

func (a *attempts) init(upstreams *upstream.Registry) []prometheus.Collector {
	a.upstreams, a.total = upstreams, counterVec(attemptsTotal)
	return []prometheus.Collector{a.total}
}

// count ignores an attempt whose upstream was removed since: it would recreate the series that Metrics.Forget deleted.
func (a *attempts) count(one proxy.Try) {
	try := proxy.Try{Upstream: one.Upstream, Failure: one.Failure}
	c, ok := a.byTry.lookup(try)
	if !ok {
		if a.upstreams.Table().Index(try.Upstream.Ref()) < 0 {
			return
		}
		c = a.byTry.get(try, func() prometheus.Counter {
			a.words.Store(try.Failure.Word(), true)
			return a.total.WithLabelValues(try.Upstream.Name(), try.Failure.Word())
		})
	}
	c.Inc()
}

// keep drops the upstreams that are not in stays from the cache.
func (a *attempts) keep(stays map[*upstream.Upstream]bool) {
	a.byTry.deleteIf(func(try proxy.Try) bool { return !stays[try.Upstream] })
}
