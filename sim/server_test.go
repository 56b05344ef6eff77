package sim

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cachedTokens sends a prompt of 64 tokens, and returns the number of cached ones.
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

// The kernel may lend the port of a stopped server to another socket for a while.
func TestRestartWaitsForThePort(t *testing.T) {
	s := start(t, Config{})
	s.Stop()
	other, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*restartPause, func() { other.Close() })
	if err := s.Restart(); err != nil {
		t.Error(err)
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
