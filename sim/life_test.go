package sim

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tether/sim/engine"
)

// cachedTokens asks for one token behind 64 known ones.
func cachedTokens(t *testing.T, s *Server) string {
	t.Helper()
	body := `{"prompt":[` + strings.TrimSuffix(strings.Repeat("1,", 64), ",") + `],"max_tokens":1}`
	_, rest, _ := strings.Cut(postTo(t, s, "/v1/completions", body).body, `"cached_tokens":`)
	n, _, _ := strings.Cut(rest, ",")
	return n
}

func refused(t *testing.T, s *Server) bool {
	t.Helper()
	network, addr := "tcp", s.Addr()
	if path, unix := socketPath(addr); unix {
		network, addr = "unix", path
	}
	c, err := net.Dial(network, addr)
	if err == nil {
		c.Close()
	}
	return err != nil
}

func TestStopAndRestartKeepThePortAndTheCache(t *testing.T) {
	s := start(t, Config{})
	addr := s.Addr()
	cachedTokens(t, s)
	s.Stop()
	if !refused(t, s) {
		t.Error("the port takes connections after Stop")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if s.Addr() != addr {
		t.Errorf("address %s, want %s", s.Addr(), addr)
	}
	if n := cachedTokens(t, s); n != "48" {
		t.Errorf("cached %s, want 48", n)
	}
	s.Forget()
	if n := cachedTokens(t, s); n != "0" {
		t.Errorf("cached %s after Forget, want 0", n)
	}
}

func TestKillLosesTheCache(t *testing.T) {
	s := start(t, Config{})
	cachedTokens(t, s)
	idleConn := dial(t, s)
	put(t, idleConn, "GET /health HTTP/1.1\r\nHost: sim\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idleConn), nil); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := io.ReadAll(idleConn); !isReset(err) {
		t.Errorf("idle connection: %v, want a reset", err)
	}
	if !refused(t, s) {
		t.Error("the port takes connections after Kill")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if n := cachedTokens(t, s); n != "0" {
		t.Errorf("cached %s, want 0", n)
	}
}

func TestStartTwice(t *testing.T) {
	s := start(t, Config{})
	if err := s.Restart(); err == nil || !strings.HasSuffix(err.Error(), "already listening on "+s.Addr()) {
		t.Errorf("error %v", err)
	}
	s.Stop()
	s.Stop()
	s.Kill()
	if err := New(Config{}).Drain(t.Context()); err != nil {
		t.Error(err)
	}
	New(Config{}).Kill()
}

func TestStopLetsRequestsFinish(t *testing.T) {
	s := start(t, Config{DecodePerToken: 30 * time.Millisecond, StopTimeout: 10 * time.Second})
	idleConn, busy := dial(t, s), dial(t, s)
	put(t, idleConn, "GET /health HTTP/1.1\r\nHost: sim\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idleConn), nil); err != nil {
		t.Fatal(err)
	}
	put(t, busy, wire(chatPath, chatSSE))
	await(t, s, func(l Load) bool { return l.Running == 1 })
	s.Stop()
	if got, err := io.ReadAll(busy); err != nil || !strings.HasSuffix(string(got), "data: [DONE]\n\n\r\n0\r\n\r\n") {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := io.ReadAll(idleConn); err != nil || len(got) != 0 {
		t.Errorf("idle connection: %q, %v, want a clean end", got, err)
	}
}

func TestStopCutsAfterItsTimeout(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour, StopTimeout: time.Millisecond})
	c := dial(t, s)
	put(t, c, wire(chatPath, chatSSE))
	awaitMoment(t, s, func(_ Load, s engine.Stats) bool { return s.GeneratedTokens == 1 })
	s.Stop()
	if got, err := io.ReadAll(c); err != nil || strings.HasSuffix(string(got), "0\r\n\r\n") {
		t.Errorf("%q, %v", got, err)
	}
	await(t, s, func(l Load) bool { return idle(l) && l.Conns == 0 })
}

func TestUnixSocket(t *testing.T) {
	s := New(Config{Record: 1})
	path := filepath.Join(t.TempDir(), "vllm.sock")
	addr, err := s.Start("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if addr != "unix:"+path || s.URL() != "http+unix://"+path {
		t.Errorf("address %s, URL %s", addr, s.URL())
	}
	for _, end := range []func(){s.Stop, s.Kill} {
		got, err := exchange(t, s, wire(chatPath, chatBody, "Connection: close"))
		if err != nil || !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%q, %v", got, err)
		}
		end()
		if !refused(t, s) {
			t.Error("the socket takes connections")
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := exchange(t, s, faultWire(chatBody, "close")); got != "" || err != nil {
		t.Errorf("close: %q, %v", got, err)
	}
}

func TestStaleSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vllm.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	s := New(Config{})
	if _, err := s.Start("unix:" + path); err != nil {
		t.Fatal(err)
	}
	s.Stop()
}

func TestIdleConnectionsAreClosedSilently(t *testing.T) {
	s := start(t, Config{KeepAlive: 30 * time.Millisecond})
	fresh, c := dial(t, s), dial(t, s)
	put(t, c, "GET /version HTTP/1.1\r\nHost: sim\r\n\r\n")
	if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), `{"version":"0.32.0"}`) ||
		strings.Contains(string(got), "Connection") {
		t.Errorf("%q, %v", got, err)
	}
	// One that never sent a request stays, as with uvicorn.
	put(t, fresh, "GET /version HTTP/1.1\r\nHost: sim\r\n\r\n")
	if got, err := io.ReadAll(fresh); err != nil || len(got) == 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDrain(t *testing.T) {
	s := start(t, Config{RefuseAfter: 30 * time.Millisecond})
	c := dial(t, s)
	put(t, c, faultWire(chatSSE, "stall=2"))
	await(t, s, func(l Load) bool { return l.Held == 1 })
	end := make(chan error, 1)
	go func() { end <- s.Drain(t.Context()) }()
	await(t, s, func(l Load) bool { return l.Draining })
	checkShutdownAnswers(t, s)
	s.ClearFaults() // the request in flight goes on
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(got), "data: [DONE]\n\n\r\n0\r\n\r\n") || strings.Count(string(got), "data: {") != 4 {
		t.Errorf("request in flight: %q, %v", got, err)
	}
	if err := <-end; err != nil {
		t.Error(err)
	}
	if !refused(t, s) {
		t.Error("the port takes connections after Drain")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if r := postTo(t, s, chatPath, chatBody); r.status != 200 {
		t.Errorf("after Restart: %d", r.status)
	}
}

func TestDrainHasAnEnd(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour})
	c := dial(t, s)
	put(t, c, wire(chatPath, chatSSE))
	await(t, s, func(l Load) bool { return l.Running == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); err != context.DeadlineExceeded {
		t.Errorf("error %v", err)
	}
	if got, err := io.ReadAll(c); err != nil || strings.HasSuffix(string(got), "0\r\n\r\n") {
		t.Errorf("request in flight: %q, %v", got, err)
	}
	await(t, s, idle)
}

func TestKillEndsADrain(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour})
	put(t, dial(t, s), wire(chatPath, chatSSE))
	await(t, s, func(l Load) bool { return l.Running == 1 })
	end := make(chan error, 1)
	go func() { end <- s.Drain(t.Context()) }()
	s.Kill()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// An idle server ends as vLLM does, at once in haste, and at once when that is needed.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    Config
		hasty  bool
		needed bool
	}{
		{"vLLM's wait", Config{RefuseAfter: -1}, false, false},
		{"haste", Config{RefuseAfter: time.Hour}, true, false},
		{"need", Config{RefuseAfter: time.Hour, DecodePerToken: time.Hour}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			wanted, want := context.WithCancel(t.Context())
			needed, need := context.WithCancel(t.Context())
			said := make(chan string, 9)
			ended := make(chan error, 1)
			listen := "unix:" + filepath.Join(t.TempDir(), "s")
			end := End{Wanted: wanted, Hasty: func() bool { return c.hasty }, Needed: needed}
			go func() { ended <- Run(end, c.cfg, listen, func(format string, _ ...any) { said <- format }) }()
			if line := <-said; line != "simulated vLLM %s on %s, models %v" {
				t.Errorf("said %q", line)
			}
			want()
			<-said
			if c.needed {
				need()
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			need()
		})
	}
}

func TestRunCannot(t *testing.T) {
	if err := Run(End{}, Config{}, "unix:/no/such/place", t.Logf); err == nil {
		t.Error("no error from an impossible address")
	}
	if err := Run(End{}, Config{MaxSeqs: -1}, "unix:/no/such/place", t.Logf); err == nil || err.Error() != "MaxSeqs: -1, want 1 or more" {
		t.Errorf("error %v", err)
	}
}
