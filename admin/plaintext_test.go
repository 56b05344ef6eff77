package admin

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// net/http refuses these requests before any handler sees them.
func TestUnreadableRequestsGetJSON(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	for _, c := range []struct {
		request, message string
		status           int
	}{
		{"GET /healthz\r\n\r\n", "Bad Request", 400},
		{"GET /healthz HTTP/1.1\r\n\r\n", "Bad Request: missing required Host header", 400},
		{"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", "Bad Request: malformed Host header", 400},
		{"GET /healthz HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP Version Not Supported: unsupported protocol version", 505},
		{"POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "Unsupported transfer encoding", 501},
		{"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 32<<10) + "\r\n\r\n", "Request Header Fields Too Large", 431},
		{"\x16\x03\x01\x00\x05hello\r\n\r\n", "Bad Request", 400},
	} {
		r := o.send(c.request)
		o.wantError(r, c.status)
		if !strings.Contains(r.body, `"message":"`+c.message+`"`) {
			t.Errorf("%.40q: %s, want the message %q", c.request, r.body, c.message)
		}
		if r.Status != http.StatusText(c.status) && !strings.HasSuffix(r.Status, " "+http.StatusText(c.status)) || !r.Close {
			t.Errorf("%.40q: %q, closes: %v", c.request, r.Status, r.Close)
		}
	}
}

// send sends bytes on a connection of their own and reads the answer.
func (o *operated) send(request string) reply {
	o.t.Helper()
	c, err := net.Dial("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		o.t.Fatal(err)
	}
	req, _ := http.NewRequest("GET", "http://test/", nil)
	res, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		o.t.Fatalf("%.40q: %v", request, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return reply{Response: res, body: string(body)}
}

// net/http/pprof writes its errors as plain text, through the writer of the handler.
func TestProfileErrorsAreJSON(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	for path, status := range map[string]int{
		"/debug/pprof/nothing":                  404,
		"/debug/pprof/heap?seconds=no":          400,
		"/debug/pprof/allocs?seconds=1&debug=1": 400,
		"/debug/pprof/goroutine?seconds=-1":     400,
	} {
		o.wantError(o.ask("GET", path), status)
	}
	if r := o.ask("GET", "/debug/pprof/goroutine?debug=1"); r.StatusCode != 200 || !strings.HasPrefix(r.body, "goroutine profile:") {
		t.Errorf("%d %.80q, want a profile in plain text", r.StatusCode, r.body)
	}
}

// An answer of a handler stays as it is, whatever its body holds.
func TestErrorInJSONLeavesAnswers(t *testing.T) {
	for _, b := range []string{
		"",
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: x\r\nConnection: close\r\n\r\nbody",
		"body " + plainError + "400 Bad Request",
		"HTTP/1.1 " + plainError,
		"HTTP/1.1 x" + plainError,
	} {
		if got, is := errorInJSON([]byte(b)); is {
			t.Errorf("%q became %q", b, got)
		}
	}
}
