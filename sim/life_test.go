package sim

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/sim/engine"
)

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

func TestIdleConnectionsAreClosedSilently(t *testing.T) {
	s := start(t, Config{KeepAlive: 30 * time.Millisecond})
	fresh, c := dial(t, s), dial(t, s)
	put(t, c, "GET /version HTTP/1.1\r\nHost: sim\r\n\r\n")
	if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), `{"version":"0.32.0"}`) ||
		strings.Contains(string(got), "Connection") {
		t.Errorf("%q, %v", got, err)
	}
	// A connection that never sent a request stays open, as with uvicorn.
	put(t, fresh, "GET /version HTTP/1.1\r\nHost: sim\r\n\r\n")
	if got, err := io.ReadAll(fresh); err != nil || len(got) == 0 {
		t.Errorf("%q, %v", got, err)
	}
}
