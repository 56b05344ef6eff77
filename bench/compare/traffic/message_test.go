package traffic

import (
	"strings"
	"testing"
)

const exampleRequest = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: 5\r\n\r\nhello"

// A request is complete with its last byte, wherever it is split.
func TestRequestInParts(t *testing.T) {
	var r request
	for split := 1; split < len(exampleRequest); split++ {
		whole, err := r.take([]byte(exampleRequest[:split]))
		if whole || err != nil {
			t.Fatalf("split at %d: whole %v, %v", split, whole, err)
		}
		if whole, err = r.take([]byte(exampleRequest[split:])); !whole || err != nil {
			t.Fatalf("split at %d: whole %v, %v", split, whole, err)
		}
		if string(r.path()) != "/v1/chat/completions" {
			t.Fatalf("the path is %q", r.path())
		}
		r.next()
	}
}

func TestRequestWithoutBody(t *testing.T) {
	var r request
	if whole, err := r.take([]byte("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")); !whole || err != nil {
		t.Errorf("whole %v, %v", whole, err)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		exampleRequest + "!": "bytes follow a request",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n": "a request has a Transfer-Encoding",
		"POST / HTTP/1.1\r\nContent-Length: five\r\n\r\n":       `Content-Length is "five"`,
		strings.Repeat("x", maxHead+1):                          "a head is too long",
	} {
		var r request
		if _, err := r.take([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
}
