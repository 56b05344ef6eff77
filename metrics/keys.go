package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// keys counts by the names of API keys, and what became of their file.
type keys struct {
	requests *prometheus.CounterVec
	byName   cache[string, prometheus.Counter]
	now      prometheus.Gauge
	reloads  reloads
}

func (k *keys) init() []prometheus.Collector {
	k.requests, k.now, k.reloads = counterVec(keyRequests), gauge(keysNow), reloadsOf(keyReloads)
	return []prometheus.Collector{k.requests, k.now, k.reloads.total}
}

func (k *keys) count(name string) {
	if name != "" {
		k.byName.get(name, func() prometheus.Counter { return k.requests.WithLabelValues(name) }).Inc()
	}
}

// use notes which names are in force; those that are gone lose their series.
func (k *keys) use(names []string) {
	k.now.Set(float64(len(names)))
	stay := map[string]bool{}
	for _, name := range names {
		stay[name] = true
	}
	k.byName.drop(func(name string) bool {
		if !stay[name] {
			k.requests.DeleteLabelValues(name)
		}
		return !stay[name]
	})
}

// Keys tells the names of the API keys that are in force.
func (m *Metrics) Keys(names []string) { m.keys.use(names) }

// KeysReloaded counts a new content of the file of API keys, by whether it can be used.
func (m *Metrics) KeysReloaded(ok bool) { m.keys.reloads.count(ok) }
