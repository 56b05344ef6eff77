package haproxy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
)

// scene is clients in front of HAProxy in front of tether in front of simulated servers.
type scene struct {
	t           *testing.T
	sims        []*sim.Server
	urls        []string
	data, admin string // tether's addresses
	config      string // tether's configuration file
	tether      *binary.Tether
	front       *front
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, data: binary.FreeAddr(t), admin: binary.FreeAddr(t), config: filepath.Join(t.TempDir(), "config.yaml")}
	for _, name := range []string{"vllm-0", "vllm-1"} {
		server := sim.New(sim.Config{Name: name, DecodePerToken: 5 * time.Millisecond})
		if _, err := server.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		s.sims, s.urls = append(s.sims, server), append(s.urls, server.URL())
	}
	if err := os.WriteFile(s.config, []byte("proxy: {shutdown_delay: 500ms}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run()
	s.front = newFront(t, s.data)
	return s
}

// run starts tether, on the same addresses each time.
func (s *scene) run() {
	s.t.Helper()
	s.tether = binary.RunAt(s.t, s.data, s.admin, s.urls, "-c", s.config)
}

// HAProxy's default check is HTTP/1.0 without Host. It finds tether up.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var server map[string]string
	await(t, "HAProxy never checked", func() bool {
		server = s.front.server(t)
		status := server["check_status"] // "* ..." while a check is under way
		return status != "" && status != "INI" && !strings.HasPrefix(status, "*")
	})
	if server["status"] != "UP" || server["check_status"] != "L7OK" || server["check_code"] != "200" || server["chkfail"] != "0" {
		t.Errorf("HAProxy says of tether: %s, check %s with status %s, %s checks failed", server["status"], server["check_status"], server["check_code"], server["chkfail"])
	}
	turns := startTraffic(t, s.front.addr)
	turns.round(t)
	turns.end().succeed(t, nil)
}

// A reload of HAProxy fails no request: the old worker serves its connections to their end, the new one accepts on the same sockets.
func TestReloadOfHAProxy(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	turns := startTraffic(t, s.front.addr)
	turns.round(t)
	for range 3 {
		s.front.reload(t)
		turns.round(t)
	}
	turns.end().succeed(t, nil)
}

// When HAProxy is killed, requests fail that were in flight, and those that begin before it listens again. tether notices that its
// clients are gone, and ends their generations. It keeps the pins, so all sessions stay on their servers.
func TestKillOfHAProxy(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	turns := startTraffic(t, s.front.addr)
	turns.round(t)
	endless := startStream(t, s.front.addr)
	gap := outage{from: time.Now()}
	s.front.kill(t)
	endless.wait(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, server := range s.sims {
		if err := server.Await(ctx, func(l sim.Load) bool { return l.Requests == 0 }); err != nil {
			t.Errorf("the generations of killed clients go on: %+v", server.Load())
		}
	}
	s.front.start(t)
	gap.to = time.Now()
	turns.round(t)
	turns.end().succeed(t, &gap)
}

// When tether is stopped by SIGTERM and started again, no request fails: tether finishes those in flight, and HAProxy connects once
// more for those that come before tether listens again. Sessions get their old servers from the ring.
func TestRestartOfTether(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	turns := startTraffic(t, s.front.addr)
	turns.round(t)
	for range 2 {
		s.tether.End(t, syscall.SIGTERM, patience)
		s.run()
		turns.round(t)
	}
	turns.end().succeed(t, nil)
}

// When tether is killed, requests in flight fail, because a server may have begun to work on them. HAProxy connects once more for all
// others. Sessions get their old servers from the ring.
func TestKillOfTether(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	turns := startTraffic(t, s.front.addr)
	turns.round(t)
	kill := outage{from: time.Now()}
	s.tether.End(t, syscall.SIGKILL, patience)
	kill.to = time.Now()
	s.run()
	turns.round(t)
	turns.end().succeed(t, &kill)
}
