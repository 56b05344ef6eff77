package metrics

import "github.com/prometheus/client_golang/prometheus"

// keys counts requests by API key, and changes of the API key file.
type keys struct {
	requests *prometheus.CounterVec
	byName   seriesCache[string, prometheus.Counter]
	inForce  prometheus.Gauge
	reloads  reloads
}

func (k *keys) init() []prometheus.Collector {
	k.requests, k.inForce, k.reloads = counterVec(keyRequests), gauge(keysInForce), newReloads(keyReloads)
	return []prometheus.Collector{k.requests, k.inForce, k.reloads.total}
}

func (k *keys) count(name string) {
	if name != "" {
		k.byName.get(name, func() prometheus.Counter { return k.requests.WithLabelValues(name) }).Inc()
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
}

// Keys sets the names of the API keys that are in force.
func (m *Metrics) Keys(names []string) { m.keys.use(names) }

// KeysReloaded counts a change of the API key file. ok is false if the new content is invalid.
func (m *Metrics) KeysReloaded(ok bool) { m.keys.reloads.count(ok) }
