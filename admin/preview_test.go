package admin

import (
	"strings"
	"testing"
)

// An answer has names and numbers, and never an address.
func TestPreview(t *testing.T) {
	r := newRig(t)
	status, text := r.do("POST", "/api/preview", `{"upstreams":[{"name":"vllm-0","address":{"Network":"tcp","Dial":"10.9.8.7:1"},"weight":50},{"name":"vllm-1","address":{"Network":"tcp","Dial":"10.9.8.7:9"},"slot":2,"weight":100},{"name":"c","address":{"Network":"tcp","Dial":"10.9.8.6:1"},"slot":1,"weight":100}],"fixed":{"session.max":"1"}}`)
	if status != 200 || !strings.Contains(text, `"added":["c"],"removed":["vllm-2"],"replaced":["vllm-1"],"reweighted":[{"name":"vllm-0","from":100,"to":50}]`) || !strings.Contains(text, `"need_restart":["session.max"]`) || strings.Contains(text, "10.9") {
		t.Errorf("%d: %s", status, text)
	}
	for body, want := range map[string]int{
		`{"upstreams":[{"name":"a"},{"name":"a"}]}`: 400, `{"servers":[]}`: 400, ``: 400,
		`{"upstreams":[{"name":"` + strings.Repeat("a", maxServers) + `"}]}`: 413,
	} {
		if status, text := r.do("POST", "/api/preview", body); status != want || !strings.Contains(text, `{"error":{"code":`) {
			t.Errorf("%.50s: %d, want %d: %s", body, status, want, text)
		}
	}
}
