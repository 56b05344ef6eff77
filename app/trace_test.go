package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tether/config"
	"tether/sim"
)

// A tether that traces exports its last spans before it ends, and says once that a collector refuses them.
func TestTraces(t *testing.T) {
	for _, status := range []int{200, 400} {
		received := make(chan int, 100)
		collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			received <- len(body)
			w.WriteHeader(status)
		}))
		t.Cleanup(collector.Close)
		_, urls := startSims(t, 1, sim.Config{})
		s := startTether(t, func(cfg *config.Config) {
			cfg.Tracing.Endpoint, cfg.Tracing.Protocol, cfg.Tracing.Sample = collector.URL, "http", 1
			cfg.Log.Access = "all"
		}, urls...)
		s.await(0, "up")
		if res, text, err := post(t, s.addr, hello); err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %s", err, text)
		}
		s.awaitRequests(1)
		s.stop(false)
		if len(received) == 0 || <-received == 0 {
			t.Errorf("status %d: the last spans were not exported", status)
		}
		if n := s.logs.FilterMessage("traces cannot be exported").Len(); (n == 1) != (status == 400) {
			t.Errorf("status %d: %d lines about it", status, n)
		}
		if id := s.logs.access.all(t)[0]["trace_id"].(string); len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("trace %q in the access log", id)
		}
	}
}
