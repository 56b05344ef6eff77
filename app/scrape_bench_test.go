package app

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"tether/config"
	"tether/failure"
	"tether/proxy"
	"tether/session"
	"tether/session/fates"
	"tether/session/identity"
)

// BenchmarkScrape scrapes the metrics of a tether with 100,000 sessions and 512 upstreams. Each upstream has series of every kind. The goal is
// less than 50 ms. A status takes the same way.
func BenchmarkScrape(b *testing.B) {
	const upstreams, sessions = 512, 100_000
	var urls []string
	for i := range upstreams {
		urls = append(urls, fmt.Sprintf("http://127.0.0.1:%d", 20_000+i))
	}
	s := startTether(b, func(c *config.Config) { c.Health.Interval = time.Hour }, urls...)
	now := time.Now()
	members := s.app.registry.Table().Members
	for n := range sessions {
		u := members[n%upstreams].Upstream
		s.app.pins.Set(identity.Key{Hi: uint64(n), Lo: uint64(n)}, u.Ref(), now)
		for f := range fates.Fate(fates.Count) {
			s.app.done(&proxy.Record{
				Upstream: u, Outcome: session.Outcome(n % 5), Status: 200, Route: "/v1/chat/completions", Key: identity.Key{Hi: uint64(n), Lo: uint64(n)},
				PromptTokens: 100, CachedTokens: 50, ExpectedTokens: 60, FirstByte: time.Duration(n) * time.Microsecond, Started: now, Duration: time.Second,
				Fates: fates.Split{Hit: 50, New: 10, Lost: 40, Cause: f}, Tries: []proxy.Try{{Upstream: u, Failure: failure.Kind(n % failure.Count)}},
			})
		}
	}
	size := 0
	b.Run("metrics", func(b *testing.B) {
		for b.Loop() {
			w := httptest.NewRecorder()
			s.app.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			size = w.Body.Len()
		}
		b.ReportMetric(float64(size), "bytes")
	})
	b.Run("status", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			size = len(s.app.status.Status(now.Add(time.Duration(n) * time.Second)))
		}
		b.ReportMetric(float64(size), "bytes")
	})
}
