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
	"tether/wire/wiretest"
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
	s := newBackend(t)
	s.front = newFront(t, s.data, "/v1/models", checkInterval)
	return s
}

// newBackend is a scene without HAProxy.
func newBackend(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, data: wiretest.FreeAddr(t), admin: wiretest.FreeAddr(t), config: filepath.Join(t.TempDir(), "config.yaml")}
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
	s := newBackend(t)
	for _, path := range []string{"/v1/models", "/health", "/ping"} {
		s.front = newFront(t, s.data, path, checkInterval)
		server := s.front.awaitCheck(t, "INI")
		if server["status"] != "UP" || server["check_status"] != "L7OK" || server["check_code"] != "200" || server["chkfail"] != "0" {
			t.Errorf("HAProxy says of %s: %s, check %s with status %s, %s checks failed",
				path, server["status"], server["check_status"], server["check_code"], server["chkfail"])
		}
		turns := startTraffic(t, s.front.addr)
		turns.round(t)
		turns.end().succeed(t, nil)
	}
}

// From SIGTERM on /health is 503, and tether serves on for shutdown_delay. So HAProxy marks tether down before tether closes its listener.
func TestCheckOfAnEndingTether(t *testing.T) {
	t.Parallel()
	s := newBackend(t)
	s.front = newFront(t, s.data, "/health", 20*time.Millisecond)
	s.front.awaitCheck(t, "INI")
	turns := startTraffic(t, s.front.addr)
	turns.round(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.tether.End(t, syscall.SIGTERM, patience)
	}()
	server := s.front.awaitCheck(t, "L7OK")
	if server["check_status"] != "L7STS" || server["check_code"] != "503" {
		t.Errorf("HAProxy's check ends with %s, status %s; want 503", server["check_status"], server["check_code"])
	}
	await(t, "HAProxy never marked tether down", func() bool { return s.front.server(t)["status"] == "DOWN" })
	<-ended
	for _, one := range turns.end() {
		if one.err != nil && !strings.HasPrefix(one.err.Error(), "status 503: <html>") { // HAProxy's own: it has no other server
			t.Errorf("a turn failed at tether: %v", one.err)
		}
	}
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
