package proxy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"tether/failure"
	"tether/sim"
)

// A refusal's text counts only as the whole message of its status, in any API's form.
func TestRefusalsAreReadStrictly(t *testing.T) {
	for _, r := range refusals {
		for form, want := range map[string]failure.Kind{
			`{"error":{"message":"%s","type":"InternalServerError","param":null,"code":500}}`: r.kind,
			`{"type":"error","error":{"type":"internal_error","message":"%s"}}`:               r.kind,
			`{"error":{"message":"prompt said: %s"}}`:                                         failure.None,
			`{"error":{"message":"%s said the prompt"}}`:                                      failure.None,
			`{"error":"%s"}`:                failure.None,
			`{"message":"%s","id":"x"}`:     r.kind,
			`{"message":"prompt said: %s"}`: failure.None,
			`%s`:                            failure.None,
		} {
			body := strings.Replace(form, "%s", r.text, 1)
			if got := refusalOf(r.status, []byte(body)); got != want {
				t.Errorf("%s: %v", body, got)
			}
			if got := refusalOf(1003-r.status, []byte(body)); got != failure.None {
				t.Errorf("%d %s: %v", 1003-r.status, body, got)
			}
		}
		if len(r.text)+200 > maxRefusal {
			t.Errorf("%s is too long to be read", r.text)
		}
	}
	if got := refusalOf(503, nil); got != failure.None {
		t.Errorf("no body: %v", got)
	}
}

// vllmExceptions is from vllm/exceptions.py of vLLM 0.32.0.
const vllmExceptions = `
class QueueOverflowError(GracefulHTTPError):
    def __init__(self):
        super().__init__(
            "The engine is currently busy and cannot accept new requests. "
            "Please try again later or on a different instance.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        )
class MaxQueuedTokensError(GracefulHTTPError):
    def __init__(self):
        super().__init__(
            "The engine has reached its prefill token backlog limit. "
            "Please try again later or on a different instance.",
            HTTPStatus.SERVICE_UNAVAILABLE,
        )
`

// The texts of admission control are vLLM's own.
func TestAdmissionTexts(t *testing.T) {
	found := regexp.MustCompile(`"(.*)"\s+"(.*)",\s+HTTPStatus.SERVICE_UNAVAILABLE`).FindAllStringSubmatch(vllmExceptions, -1)
	if len(found) != 2 {
		t.Fatalf("%q", found)
	}
	for _, m := range found {
		body := fmt.Sprintf(`{"error":{"message":%q,"type":"Service Unavailable","param":null,"code":503}}`, m[1]+m[2])
		if got := refusalOf(503, []byte(body)); got != failure.Full {
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
