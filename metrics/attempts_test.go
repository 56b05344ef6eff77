package metrics

import (
	"strings"
	"testing"

	"tether/failure"
	"tether/proxy"
	"tether/upstream"
	"tether/upstream/transport"
)

// Forget deletes the series of a removed upstream, and a request that ends later does not recreate them.
func TestForget(t *testing.T) {
	r := fleet(t, "vllm-0", "vllm-1")
	m := New("v1", r)
	gone := r.Table().Members[1].Upstream
	record := proxy.Record{Tries: []proxy.Try{{Upstream: gone, Failure: failure.None}}}
	m.Done(&record)
	m.Probed(gone.Server, "succeeded")
	if _, err := r.Apply([]upstream.Spec{{Name: "vllm-0", Address: transport.Address{Network: "tcp", Dial: "127.0.0.1:1"}, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	m.Forget("vllm-1")
	m.Done(&record)
	if text := scrape(t, m); strings.Contains(text, "vllm-1") {
		t.Errorf("series of vllm-1 remain:\n%s", text)
	}
}
