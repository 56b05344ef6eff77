package metrics

import (
	"strings"
	"testing"

	"tether/proxy"
)

// Every key counts its requests, and a name that is no longer in force loses its series.
func TestKeys(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	m.Keys([]string{"alice", "bob"})
	for _, name := range []string{"alice", "bob", "alice", ""} {
		m.Done(&proxy.Record{Caller: name})
	}
	want(t, scrape(t, m), "tether_api_keys 2", `tether_api_key_requests_total{key="alice"} 2`, `tether_api_key_requests_total{key="bob"} 1`)
	for range 2 {
		m.Done(&proxy.Record{Caller: "alice", Reason: "key_rate"})
	}
	m.Done(&proxy.Record{Caller: "bob", Reason: "key_in_flight"})
	m.Done(&proxy.Record{Caller: "alice", Reason: "no_upstream"})
	want(t, scrape(t, m), `tether_api_key_requests_refused_total{key="alice",reason="key_rate"} 2`, `tether_api_key_requests_refused_total{key="bob",reason="key_in_flight"} 1`)
	m.Keys([]string{"alice"})
	m.KeysReloaded(true)
	m.KeysReloaded(false)
	text := scrape(t, m)
	want(t, text, "tether_api_keys 1", `tether_api_key_requests_total{key="alice"} 5`,
		`tether_api_key_reloads_total{result="ok"} 1`, `tether_api_key_reloads_total{result="failed"} 1`)
	if strings.Contains(text, "bob") {
		t.Errorf("the series of bob remains:\n%s", text)
	}
}
