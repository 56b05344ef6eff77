package proxy

import (
	"fmt"
	"testing"
)

// The text counts only as the whole message of a 500, in any API's form.
func TestShutdownAnswerIsReadStrictly(t *testing.T) {
	for body, want := range map[string]bool{
		`{"error":{"message":"cannot schedule new futures after shutdown","type":"InternalServerError","param":null,"code":500}}`: true,
		`{"type":"error","error":{"type":"internal_error","message":"cannot schedule new futures after shutdown"}}`:               true,
		`{"error":{"message":"prompt said: cannot schedule new futures after shutdown"}}`:                                         false,
		`{"error":"cannot schedule new futures after shutdown"}`:                                                                  false,
		`{"message":"cannot schedule new futures after shutdown"}`:                                                                false,
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
