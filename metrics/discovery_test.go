package metrics

import (
	"strings"
	"testing"
	"time"
)

// The series of the sources are those of the sources that run.
func TestSourcesOfUpstreams(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	sources := []Source{{"dns:a", 2, 3, time.UnixMilli(1_700_000_000_500)}, {Label: "file:b", Failures: 1}}
	m.WatchSources(func() []Source { return sources })
	text := scrape(t, m)
	for _, want := range []string{
		`tether_discovery_upstreams{source="dns:a"} 2`, `tether_discovery_upstreams{source="file:b"} 0`,
		`tether_discovery_errors_total{source="dns:a"} 3`, `tether_discovery_errors_total{source="file:b"} 1`,
		`tether_discovery_last_success_timestamp_seconds{source="dns:a"} 1.7000000005e+09`, `tether_discovery_last_success_timestamp_seconds{source="file:b"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	sources = sources[:1]
	if text := scrape(t, m); strings.Contains(text, "file:b") {
		t.Error("series of a source that is gone")
	}
}
