package metrics

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tether/proxy"
	"tether/session"
	"tether/traceparent"
)

// Histograms have the trace of a request that was traced as an exemplar, for scrapers that accept OpenMetrics.
func TestExemplars(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	span := (&traceparent.Source{}).Begin([]byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	m.Done(&proxy.Record{Outcome: session.New, Trace: span, FirstByte: 20 * time.Millisecond, Duration: time.Second, PromptTokens: -1, CachedTokens: -1})
	m.Done(&proxy.Record{Outcome: session.Pinned, FirstByte: 20 * time.Millisecond, Duration: time.Second, PromptTokens: -1, CachedTokens: -1})
	scraped := func(accept string) string {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Result().Body)
		return string(text)
	}
	text := scraped("application/openmetrics-text;version=1.0.0")
	for _, want := range []string{
		`tether_time_to_first_byte_seconds_bucket{model="other",outcome="new",le="0.025"} 1 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.02`,
		`tether_request_duration_seconds_bucket{model="other",le="1.0"} 2 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 1.0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "trace_id"); n != 2 {
		t.Errorf("%d exemplars, want 2", n)
	}
	if text := scraped("text/plain"); strings.Contains(text, "trace_id") || !strings.Contains(text, "tether_request_duration_seconds_count") {
		t.Error("the text form of Prometheus has exemplars, or no histogram")
	}
}

func TestTraceCounters(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	m.WatchTraces([]string{"exported", "dropped"}, func() []uint64 { return []uint64{3, 4} })
	want(t, scrape(t, m), `tether_trace_spans_total{result="exported"} 3`, `tether_trace_spans_total{result="dropped"} 4`)
}
