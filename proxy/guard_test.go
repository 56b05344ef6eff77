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
		{"GET", "/health", 200, "/health"},
		{"PUT", "/health", 405, ""},
		{"GET", "/health/", 404, ""},
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

// A refusal shows the session's id wherever the id was read: in a head always, in a body that arrived before the refusal, and not in
// one that did not. A refused request that is here as a whole keeps its connection.
func TestRefusalsShowTheSession(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxInFlight, r.cfg.MaxBody = 1, 64<<10 })
	const withID = `{"model":"tiny","session_id":"mine","messages":[{"role":"user","content":"x"}]}`
	whole, derived := r.do("POST", chatPath, withID).Header.Get("X-Session-Id"), r.chat("x").Header.Get("X-Session-Id")
	if whole == "" || derived == "" || whole == derived {
		t.Fatalf("%q, %q", whole, derived)
	}
	free := func() { r.await(0, "requests in flight", func() int { return int(r.proxy.InFlight()) }) } // clients have answers before that
	free()
	late := r.dial() // its head arrives before the limit is reached, the end of its body after that
	large := strings.Replace(withID, "{", "{"+strings.Repeat(" ", 20<<10), 1)
	late.send("POST " + chatPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(len(large)) + "\r\n\r\n" + large[:len(large)-1])
	r.awaitBodies(64 << 10) // one buffer
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	held := r.dial()
	held.send(post(chatPath, chat("y")))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 1 })
	late.send(large[len(large)-1:])
	c := r.dial()
	ask := func(request string) *answer { c.send(request); return c.receive() }
	headOf := func(length int, fields string) *answer {
		c := r.dial()
		c.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n", chatPath, fields, length))
		return c.receive()
	}
	for name, x := range map[string]struct {
		a      *answer
		status int
		id     string
		closes bool
	}{
		"a body that arrived slowly":          {late.receive(), 503, whole, false},
		"a body that arrived with its head":   {ask(post(chatPath, withID)), 503, whole, false},
		"an opening":                          {ask(post(chatPath, chat("x"))), 503, derived, false},
		"an opening, without affinity":        {ask(post(chatPath, chat("x"), "X-Tether-Affinity: off")), 503, "", false},
		"a body that has yet to arrive":       {headOf(90, ""), 503, "", true},
		"a body that has yet to arrive, head": {headOf(90, sid+"\r\n"), 503, "s-1", true},
	} {
		if got := x.a.Header.Get("X-Session-Id"); x.a.StatusCode != x.status || got != x.id || x.a.Close != x.closes {
			t.Errorf("%s: %d with the id %q, closes: %v, want %d, %q, %v", name, x.a.StatusCode, got, x.a.Close, x.status, x.id, x.closes)
		}
	}
	r.sims[0].ClearFaults()
	if held.receive().StatusCode != 200 {
		t.Error("the request within the limit failed")
	}
	free()
	for fields, id := range map[string]string{"": "", sid + "\r\n": "s-1"} {
		if a := headOf(65<<10, fields); a.StatusCode != 413 || a.Header.Get("X-Session-Id") != id || !a.Close {
			t.Errorf("a body that is too large: %d with the id %q, closes: %v, want the id %q", a.StatusCode, a.Header.Get("X-Session-Id"), a.Close, id)
		}
	}
}
