package proxy

import (
	"fmt"
	"strings"
	"testing"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/units"
)

func TestPaths(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.Expose = []string{"GET /version", "POST /custom/*", "POST /wake_up", "GET /v1/*"}
	})
	body := `{"model":"tiny"}`
	for i, c := range []struct {
		method, path string
		status       int    // 0: forwarded
		route        string // "" for a path without an endpoint
	}{
		{"POST", chatPath + "?a=b", 0, chatPath},
		{"POST", "/v1/embeddings", 0, "/v1/embeddings"},
		{"POST", "/rerank", 0, "/rerank"},
		{"GET", "/v1/responses/resp_1", 0, "/v1/responses/{id}"},
		{"POST", "/v1/responses/resp_1/cancel", 0, "/v1/responses/{id}/cancel"},
		{"OPTIONS", chatPath, 0, "preflight"},
		{"OPTIONS", "/v1/responses/resp_1", 0, "preflight"},
		{"GET", "/version", 0, "exposed"},
		{"POST", "/custom/thing", 0, "exposed"},
		{"POST", "/wake_up", 0, "exposed"}, // the operator chose exactly this path
		{"GET", "/v1/other", 0, "exposed"},
		{"DELETE", chatPath, 405, ""},
		{"HEAD", "/v1/models", 405, ""},
		{"POST", "/v1/models", 405, ""},
		{"DELETE", "/v1/responses/resp_1", 405, ""},
		{"PUT", "/v1/responses/resp_1/cancel", 405, ""},
		{"GET", "/", 404, ""},
		{"GET", "/health", 404, ""},
		{"GET", "/metrics", 404, ""},
		{"GET", "/docs", 404, ""},
		{"POST", "/sleep", 404, ""},
		{"POST", "/collective_rpc", 404, ""},
		{"GET", "/v1/load_lora_adapter", 404, ""},   // never by a wildcard
		{"GET", "/v1/%6coad_lora_adapter", 404, ""}, // nor in a spelling that a server reads as that path
		{"GET", "/v1/load%5Flora_adapter/", 404, ""},
		{"GET", "/v1/%zz", 404, ""},
		{"POST", "/v1/chat/completions/", 404, ""},
		{"POST", "/V1/chat/completions", 404, ""},
		{"POST", "/v1/chat/../chat/completions", 404, ""},
		{"POST", "/v1//chat/completions", 404, ""},
		{"POST", "/v1/chat%2fcompletions", 404, ""},
		{"POST", "/v1/chat%2Fcompletions", 404, ""},
		{"POST", "/custom/%2e%2e/sleep", 404, ""},
		{"POST", "/custom/..%2fsleep", 404, ""},
		{"POST", `/custom/\sleep`, 404, ""},
		{"POST", "/custom/%5csleep", 404, ""},
		{"POST", "/custom/./sleep", 404, ""},
		{"POST", "/./custom/thing", 404, ""},
		{"POST", "/custom/.", 404, ""},
		{"POST", "/custom/.well-known", 0, "exposed"},
		{"POST", "/v1/responses/", 404, ""},
		{"GET", "/v1/responses/a.b:c~d", 0, "/v1/responses/{id}"},
		{"GET", "/v1/responses/.", 404, ""},
		{"POST", "/v1/responses/a/b", 404, ""},
		{"POST", "/v1/responses/a%20b/cancel", 404, ""},
		{"OPTIONS", "/sleep", 404, ""},
		{"OPTIONS", "*", 404, ""},
	} {
		before := count(r.sims)
		conn := r.dial()
		conn.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%s", c.method, c.path, len(body), body))
		status := ""
		if _, err := fmt.Fscanf(conn.r, "HTTP/1.1 %s", &status); err != nil {
			t.Fatalf("%s %s: %v", c.method, c.path, err)
		}
		forwarded, rec := count(r.sims) > before, r.recorded(i+1)
		if forwarded != (c.status == 0) || c.status != 0 && status != fmt.Sprint(c.status) {
			t.Errorf("%s %s: status %s, forwarded %v", c.method, c.path, status, forwarded)
		}
		if rec.Route != c.route {
			t.Errorf("%s %s: recorded as %q", c.method, c.path, rec.Route)
		}
	}
	a := r.do("PUT", chatPath, "")
	if a.Header.Get("Allow") != "POST" || !strings.Contains(a.body, `"type":"invalid_request_error","param":null,"code":405`) {
		t.Errorf("Allow %q\n%s", a.Header.Get("Allow"), a.body)
	}
}

// Refusals carry the id that the client sent, and have the form of its API.
func TestRefusalsCarryTheID(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxBody = units.KiB })
	large := chat(strings.Repeat("x", 2000))
	for _, a := range []*answer{
		r.do("GET", "/nothing", "", sid),
		r.do("GET", chatPath, "", sid),
		r.do("POST", chatPath, large, sid),
		r.do("POST", "/v1/messages", large, sid),
	} {
		if a.Header.Get("X-Session-Id") != "s-1" || a.outcome() != "none" || a.Header.Get("X-Request-Id") == "" || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d: %v", a.StatusCode, a.Header)
		}
	}
	a := r.do("POST", "/v1/messages", large)
	if a.StatusCode != 413 || !strings.HasPrefix(a.body, `{"type":"error","error":{"type":"request_too_large","message":"`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestMaxInFlight(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxInFlight = 2 })
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	first := r.dial()
	first.send(post(chatPath, chat("x")))
	second := r.dial()
	second.send(post(chatPath, chat("y")))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 2 })
	a := r.chat("z")
	r.want(a, 503, "none")
	if a.Header.Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
	r.sims[0].ClearFaults()
	if first.receive().StatusCode != 200 || second.receive().StatusCode != 200 {
		t.Error("requests within the limit failed")
	}
	r.recorded(3)
	r.want(r.chat("z"), 200, "new")
}
