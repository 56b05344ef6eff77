package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tether/proxy"
)

// keys counts requests by API key, and changes of the API key file.
type keys struct {
	requests, refused *prometheus.CounterVec
	byName            seriesCache[string, prometheus.Counter]
	byRefusal         seriesCache[refusal, prometheus.Counter]
	inForce           prometheus.Gauge
	reloads           reloads
}

// refusal is a limit of a key.
type refusal struct{ name, reason string }

func (k *keys) init() []prometheus.Collector {
	k.requests, k.refused, k.inForce, k.reloads = counterVec(keyRequests), counterVec(keyRefused), gauge(keysInForce), newReloads(keyReloads)
	return []prometheus.Collector{k.requests, k.refused, k.inForce, k.reloads.total}
}

func (k *keys) count(r *proxy.Record) {
	name := r.Caller
	if name == "" {
		return
	}
	k.byName.get(name, func() prometheus.Counter { return k.requests.WithLabelValues(name) }).Inc()
	if r.OverKeyLimit() {
		by := refusal{name, r.Reason}
		k.byRefusal.get(by, func() prometheus.Counter { return k.refused.WithLabelValues(by.name, by.reason) }).Inc()
	}
}

// use notes which names are in force, and deletes the series of all other names.
func (k *keys) use(names []string) {
	k.inForce.Set(float64(len(names)))
	used := map[string]bool{}
	for _, name := range names {
		used[name] = true
	}
	k.byName.deleteIf(func(name string) bool {
		if !used[name] {
			k.requests.DeleteLabelValues(name)
		}
		return !used[name]
	})
	k.byRefusal.deleteIf(func(by refusal) bool {
		if !used[by.name] {
			k.refused.DeleteLabelValues(by.name, by.reason)
		}
		return !used[by.name]
	})
}

// Keys sets the names of the API keys that are in force.
func (m *Metrics) Keys(names []string) { m.keys.use(names) }

// KeysReloaded counts a change of the API key file. ok is false if the new content is invalid.
func (m *Metrics) KeysReloaded(ok bool) { m.keys.reloads.count(ok) }
