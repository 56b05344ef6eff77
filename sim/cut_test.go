package sim

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// faultWire is a request with the header that asks for faults.
func faultWire(body, faults string) string {
	return wire(chatPath, body, "X-Sim-Fault: "+faults)
}

func bodyOf(answer string) string {
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	return body
}

func TestFaultsInAStream(t *testing.T) {
	s := start(t, Config{})
	whole := postTo(t, s, "/v1/completions", tokensSSE)
	if n := strings.Count(whole.body, "\n\n"); n != 4 { // three tokens and [DONE]
		t.Fatalf("%d events", n)
	}
	for _, c := range []struct {
		fault  string
		events int    // complete ones
		end    string // of the received bytes
		reset  bool
	}{
		{"cut-between=0", 0, "\r\n\r\n", false},
		{"cut-between=2", 2, "\n\n\r\n", false},
		{"cut-between", 1, "\n\n\r\n", false},
		{"cut-between=4", 4, "data: [DONE]\n\n\r\n", false},
		{"cut-inside=0", 0, "", false},
		{"cut-inside=2", 2, "", false},
		{"cut-inside=3", 3, "e\r\ndata: [", false},
		{"cut-inside=4", 4, "data: [DONE]\n\n\r\n0\r\n", false},
		{"cut-rst=2", 2, "\n\n\r\n", true},
		{"cut-rst=0", 0, "\r\n\r\n", true},
	} {
		got, err := exchange(t, s, wire("/v1/completions", tokensSSE, "X-Sim-Fault: "+c.fault))
		body := bodyOf(got)
		if n := strings.Count(body, "\n\n\r\n"); n != c.events || strings.HasSuffix(body, "0\r\n\r\n") {
			t.Errorf("%s: %d whole events, want %d: %q", c.fault, n, c.events, body)
		}
		if !strings.HasSuffix(got, c.end) || isReset(err) != c.reset || (err != nil && !c.reset) {
			t.Errorf("%s: ends with %q, %v", c.fault, got[max(0, len(got)-30):], err)
		}
		if rest := body[strings.LastIndex("\n\n\r\n"+body, "\n\n\r\n"):]; strings.HasPrefix(c.fault, "cut-inside") && rest == "" {
			t.Errorf("%s: cut between chunks: %q", c.fault, body)
		}
	}
	await(t, s, idle)
}

func TestFaultsInABody(t *testing.T) {
	s := start(t, Config{})
	whole := postTo(t, s, "/v1/completions", tokensBody).body
	for _, c := range []struct {
		fault string
		size  int
		reset bool
	}{{"cut-between", 0, false}, {"cut-inside", len(whole) / 2, false}, {"cut-rst", len(whole) / 2, true}} {
		got, err := exchange(t, s, wire("/v1/completions", tokensBody, "X-Sim-Fault: "+c.fault))
		if !strings.Contains(got, "\r\nContent-Length: ") || !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%s: head of %q", c.fault, got)
		}
		if n := len(bodyOf(got)); n != c.size || isReset(err) != c.reset || (err != nil && !c.reset) {
			t.Errorf("%s: %d of %d bytes, want %d, %v", c.fault, n, len(whole), c.size, err)
		}
	}
	await(t, s, idle)
}

// holdings are the faults that hold a request, each with the start of the answer that the client receives before.
var holdings = []struct{ fault, body, begins string }{
	{"hang", chatBody, ""},
	{"hang", chatSSE, ""},
	{"stall=2", chatSSE, "HTTP/1.1 200 OK\r\n"},
	{"stall", chatBody, "HTTP/1.1 200 OK\r\n"},
}

func TestHeldRequestsEndWithTheirClient(t *testing.T) {
	for _, h := range holdings {
		for _, l := range leavings[:2] {
			s := start(t, Config{})
			c := dial(t, s)
			put(t, c, faultWire(h.body, h.fault))
			begins := make([]byte, len(h.begins))
			if _, err := io.ReadFull(c, begins); err != nil || string(begins) != h.begins {
				t.Fatalf("%s: %q, %v", h.fault, begins, err)
			}
			await(t, s, func(l Load) bool { return l.Held == 1 })
			l.leave(t, c.(*net.TCPConn))
			await(t, s, func(l Load) bool { return idle(l) && l.Conns == 0 })
		}
	}
}

func TestHeldRequestsGoOnWhenFaultsAreCleared(t *testing.T) {
	for _, h := range holdings {
		s := start(t, Config{})
		c := dial(t, s)
		put(t, c, faultWire(h.body, h.fault))
		await(t, s, func(l Load) bool { return l.Held == 1 })
		begins := make([]byte, len(h.begins))
		if _, err := io.ReadFull(c, begins); err != nil {
			t.Fatal(err)
		}
		s.ClearFaults()
		r, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(h.begins), c)), nil)
		if err != nil {
			t.Fatalf("%s: %v", h.fault, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body), `"length"`) {
			t.Errorf("%s: %q, %v", h.fault, body, err)
		}
	}
}

func TestHeldRequestsEndWithTheServer(t *testing.T) {
	for _, h := range holdings {
		s := start(t, Config{})
		c := dial(t, s)
		put(t, c, faultWire(h.body, h.fault))
		await(t, s, func(l Load) bool { return l.Held == 1 })
		s.Stop() // must not wait for the held request
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), h.begins) {
			t.Errorf("%s: %q, %v", h.fault, got, err)
		}
	}
}
