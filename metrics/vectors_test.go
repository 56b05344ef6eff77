package metrics

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tether/session"
)

// Concurrent callers get the same series for the same key, and create it once.
func TestSeriesCache(t *testing.T) {
	var c seriesCache[int, *int]
	var created atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for k := range 100 {
				if v := c.get(k, func() *int { created.Add(1); return &k }); *v != k {
					t.Errorf("key %d has the series of %d", k, *v)
				}
			}
		})
	}
	all.Wait()
	if n := created.Load(); n != 100 {
		t.Errorf("created %d series, want 100", n)
	}
	c.deleteIf(func(k int) bool { return k%2 == 0 })
	for k := range 100 {
		if _, ok := c.lookup(k); ok != (k%2 == 1) {
			t.Errorf("key %d: %v after deleting the even ones", k, ok)
		}
	}
}

// BenchmarkSeriesCache compares the two ways to find a series with four labels.
func BenchmarkSeriesCache(b *testing.B) {
	vec := counterVec(requestsTotal)
	b.Run("vector", func(b *testing.B) {
		for b.Loop() {
			vec.WithLabelValues("/v1/chat/completions", "tiny", "pinned", "200").Inc()
		}
	})
	b.Run("cache", func(b *testing.B) {
		var c seriesCache[request, prometheus.Counter]
		k := request{route: "/v1/chat/completions", outcome: session.Pinned, status: 200}
		for b.Loop() {
			c.get(k, func() prometheus.Counter { return vec.WithLabelValues("/v1/chat/completions", "tiny", "pinned", "200") }).Inc()
		}
	})
}
