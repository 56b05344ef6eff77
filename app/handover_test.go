package app

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tether/config"
	"tether/sim"
)

// handing starts a tether that hands over at path.
func handing(t *testing.T, path string, urls ...string) *running {
	t.Helper()
	s := startTether(t, func(c *config.Config) {
		named(c)
		c.Proxy.Handover, c.Session.Pins.Snapshot = path, path+".pins"
	}, urls...)
	for i := range urls {
		s.await(i, "up")
	}
	return s
}

// A new process that takes the listeners and dies leaves the old one as it was: it accepts, and keeps its snapshot. So does one that says
// something else.
func TestHandoverThatFails(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{})
	path := filepath.Join(t.TempDir(), "handover")
	s := handing(t, path, urls...)
	before := s.turns("new")
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "GET / HTTP/1.1\r\n\r\n")
	if n, err := c.Read(make([]byte, 10)); err == nil {
		t.Errorf("%d bytes for a stranger", n)
	}
	c.Close()
	h, err := takeOver(path)
	if err != nil || h == nil {
		t.Fatalf("%v, %v", h, err)
	}
	if h.clients("127.0.0.1:1") != nil || h.operators("127.0.0.1:1") != nil {
		t.Error("listeners of other addresses")
	}
	if _, err := os.Stat(path + ".pins"); err != nil {
		t.Error(err)
	}
	h.close()
	s.logs.awaitLine(t, "the new process does not serve: this one goes on")
	if after := s.turns("pinned"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before %v", after, before)
	}
	s.app.saved.write()
	if s.logs.FilterMessage("snapshots of pins are written from now on: the other process has ended").Len() != 1 {
		t.Errorf("the snapshot is not its own again:\n%s", s.logs.text())
	}
}

// A second process takes over the listeners and the pins of the first one, which ends by itself.
func TestHandoverInOneProcess(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{})
	path := filepath.Join(t.TempDir(), "handover")
	first := handing(t, path, urls...)
	before := first.turns("new")
	second := handing(t, path, urls...)
	if second.addr != first.addr || second.admin != first.admin {
		t.Errorf("%s and %s, before %s and %s", second.addr, second.admin, first.addr, first.admin)
	}
	first.logs.awaitLine(t, "stopped")
	if after := second.turns("pinned"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before %v", after, before)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	second.stop(false)
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left")
	}
}

// A path that cannot be a socket is an error of the configuration.
func TestHandoverPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Upstreams = []config.Upstream{{URL: "http://127.0.0.1:1"}}
	cfg.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	for p, want := range map[string]string{path: "address already in use", filepath.Join(path, "x"): "not a directory"} {
		cfg.Proxy.Handover = p
		if err := Run(unending(t), cfg, newLogbook().env(), nil); err == nil || !strings.Contains(err.Error(), "proxy.handover: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}
