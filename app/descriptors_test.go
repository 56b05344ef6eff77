package app

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	"golang.org/x/sys/unix"

	"tether/config"
	"tether/sim"
)

const messageFewDescriptors = "descriptors allow fewer client connections than proxy.max_connections: raise LimitNOFILE= or ulimit -n"

// limitDescriptors lowers the limit of this process. The function that it returns restores the limit.
func limitDescriptors(t *testing.T, limit uint64) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	low := before
	low.Cur = limit
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	restore = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// A limit of descriptors that is too low for max_connections lowers it, and one line says so. A limit that suffices changes nothing
// and says nothing.
func TestDescriptorsLimitConnections(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	for limit, lines := range map[uint64]int{600: 1, 700: 0} {
		restore := limitDescriptors(t, limit)
		s := startTether(t, func(c *config.Config) { c.Proxy.MaxConnections = 300 }, urls...)
		s.stop(false)
		restore()
		got := s.logs.FilterMessage(messageFewDescriptors).All()
		if len(got) != lines {
			t.Errorf("%d descriptors: %d lines, want %d", limit, len(got), lines)
		}
		for _, e := range got {
			if m := e.ContextMap(); m["in_force"] != int64(264) || m["max_connections"] != int64(300) || m["descriptors"] != int64(600) {
				t.Errorf("%v", m)
			}
		}
	}
}

// max_connections follows a limit of descriptors that changes while tether runs, down and up, without a reload. Once the limit is what it
// was, no connection is closed in favour of another.
func TestConnectionsFollowDescriptors(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	s := startTether(t, func(c *config.Config) { c.Proxy.MaxConnections = 300 }, urls...)
	restore := limitDescriptors(t, 110)
	s.logs.await(t, "fewer connections", func() bool { return s.app.settings.Load().connections == 34 })
	restore()
	s.logs.await(t, "as many connections as before", func() bool { return s.app.settings.Load().connections == 300 })
	if n := s.logs.FilterMessage(messageFewDescriptors).Len(); n != 1 {
		t.Errorf("%d lines about the low limit, want 1", n)
	}
	var kept []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		kept = append(kept, c)
		askOn(t, c, hello)
	}
	for _, c := range kept {
		askOn(t, c, hello)
	}
}

// askOn sends a request on a connection and reads its answer.
func askOn(t *testing.T, c net.Conn, body string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer on a connection: %v", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
}
