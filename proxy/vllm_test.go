package proxy

import (
	"fmt"
	"strings"
	"testing"

	"tether/sim"
)

// The text counts only as the whole message of a 500, in any API's form.
func TestShutdownAnswerIsReadStrictly(t *testing.T) {
	for body, want := range map[string]bool{
		`{"error":{"message":"cannot schedule new futures after shutdown","type":"InternalServerError","param":null,"code":500}}`: true,
		`{"type":"error","error":{"type":"internal_error","message":"cannot schedule new futures after shutdown"}}`:               true,
		`{"error":{"message":"prompt said: cannot schedule new futures after shutdown"}}`:                                         false,
		`{"error":"cannot schedule new futures after shutdown"}`:                                                                  false,
		`{"message":"cannot schedule new futures after shutdown","id":"x"}`:                                                       true,
		`{"message":"prompt said: cannot schedule new futures after shutdown"}`:                                                   false,
		`cannot schedule new futures after shutdown`:                                                                              false,
		``: false,
	} {
		if got := saysLeaving([]byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

// vLLM's refusal is recognized in the chunked coding as well.
func TestShutdownAnswerInChunks(t *testing.T) {
	a, b := newScript(t), newScript(t)
	r := newRig(t, []string{a.url(), b.url()})
	r.pin("s-1", r.up(0))
	done := r.turn(post(chatPath, chat("x"), sid))
	up := a.next()
	up.request()
	body := `{"error":{"message":"` + shutdownText + `"}}`
	up.send(fmt.Sprintf("HTTP/1.1 500 E\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body))
	other := b.next()
	other.request()
	other.send(ok("two"))
	if got := <-done; got.StatusCode != 200 || got.body != "two" {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

// A harmless call that is not exposed is refused with the key that exposes it; the calls that change a server are refused without.
func TestUnexposedCallsSayWhatToSet(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	for call := range unexposed {
		method, path, _ := strings.Cut(call, " ")
		if a := r.do(method, path, ""); a.StatusCode != 404 || a.server() != "" || !strings.Contains(a.body, "add "+call+" to proxy.expose") {
			t.Errorf("%s: %d %s", call, a.StatusCode, a.body)
		}
	}
	for _, path := range append([]string{"/nothing", "/metrics"}, neverByWildcard...) {
		if a := r.do("POST", path, ""); a.StatusCode != 404 || a.server() != "" || strings.Contains(a.body, "expose") {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	r = fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.Expose = []string{"GET /version"} })
	if a := r.do("GET", "/version", ""); a.StatusCode != 200 || a.server() == "" {
		t.Errorf("exposed: %d %s", a.StatusCode, a.body)
	}
}
