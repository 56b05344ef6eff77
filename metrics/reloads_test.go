package metrics

import (
	"strings"
	"testing"
	"time"
)

// An invalid configuration keeps the time of the last one that came into force.
func TestConfigReloaded(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	at := time.Unix(1_700_000_000, 0)
	m.ConfigLoaded(at)
	m.ConfigReloaded(true, at.Add(time.Minute))
	m.ConfigReloaded(false, at.Add(time.Hour))
	text := scrape(t, m)
	for _, want := range []string{
		`tether_config_reloads_total{result="ok"} 1`, `tether_config_reloads_total{result="failed"} 1`, "tether_config_last_reload_successful 0",
		"tether_config_last_reload_success_timestamp_seconds 1.70000006e+09",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// Certificates that are no longer in force leave no series.
func TestCertificates(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	at := func() time.Time { return time.Unix(1000, 0) }
	never := func() time.Time { return time.Time{} }
	m.Certificates([]Certificate{{"listener", at}, {"upstream vllm-0", at}, {"upstream vllm-1", never}})
	if text := scrape(t, m); strings.Count(text, "\ntether_certificate_expires_timestamp_seconds{") != 2 {
		t.Error(text)
	}
	m.Certificates([]Certificate{{"listener", at}})
	if text := scrape(t, m); strings.Contains(text, "upstream vllm-0") || !strings.Contains(text, `tether_certificate_expires_timestamp_seconds{of="listener"} 1000`) {
		t.Error(text)
	}
}
