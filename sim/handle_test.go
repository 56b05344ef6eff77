package sim

import (
	"io"
	"strings"
	"testing"
)

func TestExpectContinue(t *testing.T) {
	s := start(t, Config{})
	c := dial(t, s)
	request := wire(chatPath, chatBody, "Expect: 100-continue", "Connection: close")
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	put(t, c, head+"\r\n\r\n")
	interim := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(c, interim); err != nil || string(interim) != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q, %v", interim, err)
	}
	put(t, c, body)
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("%q, %v", got, err)
	}
}

// The API of the faults needs no API key, and its faults apply.
func TestFaultAPI(t *testing.T) {
	s := start(t, Config{APIKey: "key"})
	if r := postTo(t, s, "/sim/fault", `{"kind":"status","arg":"429","times":1}`); r.status != 204 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := postTo(t, s, chatPath, chatBody); r.status != 429 {
		t.Errorf("chat: %d", r.status)
	}
}
