package app

import (
	"testing"

	"golang.org/x/sys/unix"

	"tether/config"
	"tether/sim"
)

// A limit of descriptors that is too low for max_connections lowers it, and one line says so. A limit that suffices changes nothing
// and says nothing.
func TestDescriptorsLimitConnections(t *testing.T) {
	const message = "descriptors allow fewer client connections than proxy.max_connections: raise LimitNOFILE= or ulimit -n"
	_, urls := startSims(t, 1, sim.Config{})
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	for limit, lines := range map[uint64]int{600: 1, 700: 0} {
		low := before
		low.Cur = limit
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
			t.Fatal(err)
		}
		s := startTether(t, func(c *config.Config) { c.Proxy.MaxConnections = 300 }, urls...)
		s.stop(false)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		got := s.logs.FilterMessage(message).All()
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
