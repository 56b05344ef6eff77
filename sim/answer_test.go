package sim

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/sim/engine"
)

// leavings are the ways in which a client leaves. For net/http, as for uvicorn, a half-close is one of them.
var leavings = []struct {
	name  string
	leave func(*testing.T, *net.TCPConn)
}{
	{"close", func(t *testing.T, c *net.TCPConn) { c.Close() }},
	{"reset", func(t *testing.T, c *net.TCPConn) {
		if err := c.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}},
	{"half-close", func(t *testing.T, c *net.TCPConn) {
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("after the half-close: %v, want a clean end", err)
		}
	}},
}

// moments are the states in which a request can be when its client leaves.
var moments = []struct {
	name string
	cfg  Config
	at   func(Load, engine.Stats) bool
}{
	{
		"queued",
		Config{MaxSeqs: 1, PrefillPerToken: time.Hour},
		func(l Load, _ engine.Stats) bool { return l.Running == 1 && l.Waiting == 1 },
	},
	{
		"prefill",
		Config{PrefillPerToken: time.Hour},
		func(l Load, s engine.Stats) bool { return l.Running == 1 && s.PromptTokens == 0 },
	},
	{
		"decode",
		Config{DecodePerToken: time.Hour},
		func(l Load, s engine.Stats) bool { return l.Running == 1 && s.GeneratedTokens == 1 },
	},
}

func TestClientLeaves(t *testing.T) {
	for _, m := range moments {
		for kind, body := range map[string]string{"json": chatBody, "sse": chatSSE} {
			for _, l := range leavings {
				t.Run(m.name+"/"+kind+"/"+l.name, func(t *testing.T) {
					done := make(chan Seen, 2)
					m.cfg.OnDone = func(seen Seen) { done <- seen }
					s := start(t, m.cfg)
					want := 0
					if m.name == "queued" {
						put(t, dial(t, s), wire(chatPath, chatBody))
						await(t, s, func(l Load) bool { return l.Running == 1 })
						want = 1
					}
					c := dial(t, s)
					put(t, c, wire(chatPath, body))
					awaitMoment(t, s, m.at)
					l.leave(t, c.(*net.TCPConn))
					await(t, s, func(l Load) bool { return l.Running == want && l.Waiting == 0 && l.Conns == want })
					if seen := <-done; !seen.Aborted || !seen.Done {
						t.Errorf("seen as %+v, want aborted", seen)
					}
				})
			}
		}
	}
}

func awaitMoment(t *testing.T, s *Server, at func(Load, engine.Stats) bool) {
	t.Helper()
	await(t, s, func(l Load) bool { return at(l, s.Stats()) })
}

// A client that does not read blocks a write. When it leaves, the request must end nevertheless.
func TestClientLeavesWithoutReading(t *testing.T) {
	for _, l := range leavings[:2] {
		t.Run(l.name, func(t *testing.T) {
			s := start(t, Config{})
			c := dial(t, s)
			put(t, c, wire(chatPath, strings.Replace(chatSSE, `"max_tokens":3`, `"max_tokens":1000000`, 1)))
			awaitMoment(t, s, func(_ Load, s engine.Stats) bool { return s.GeneratedTokens > 10 })
			l.leave(t, c.(*net.TCPConn))
			await(t, s, idle)
		})
	}
}

// A half-close while the answer does not fit into the socket: the blocked write must end.
func TestHalfCloseWithoutReading(t *testing.T) {
	s := start(t, Config{})
	c := dial(t, s)
	put(t, c, wire(chatPath, strings.Replace(chatSSE, `"max_tokens":3`, `"max_tokens":1000000`, 1)))
	awaitMoment(t, s, func(_ Load, s engine.Stats) bool { return s.GeneratedTokens > 10 })
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	await(t, s, idle)
}

func TestClientLeavesInItsBody(t *testing.T) {
	done := make(chan Seen, 1)
	s := start(t, Config{OnDone: func(seen Seen) { done <- seen }})
	c := dial(t, s)
	put(t, c, wire(chatPath, chatBody)[:150])
	await(t, s, func(l Load) bool { return l.Requests == 1 })
	c.Close()
	if seen := <-done; !seen.Aborted || seen.Status != 0 {
		t.Errorf("seen as %+v, want aborted", seen)
	}
	await(t, s, func(l Load) bool { return idle(l) && l.Conns == 0 })
}

func TestLeavingAfterTheAnswerIsNoAbort(t *testing.T) {
	done := make(chan Seen, 1)
	s := start(t, Config{OnDone: func(seen Seen) { done <- seen }})
	postTo(t, s, chatPath, chatSSE)
	if seen := <-done; seen.Aborted || seen.Status != 200 || seen.Model != "tiny" {
		t.Errorf("seen as %+v", seen)
	}
}

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

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
