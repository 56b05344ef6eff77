package app

import (
	"fmt"
	"strings"
	"testing"

	"tether/config"
	"tether/sim"
)

func TestFirstLinesAndChanges(t *testing.T) {
	sims, urls := startSims(t, 2, sim.Config{})
	s := startTether(t, func(c *config.Config) {
		c.Upstreams[1].APIKey = "sk"
		c.Warnings = []string{"TETHER_BIN: strange"}
	}, urls...)
	s.await(0, "up")
	s.await(1, "up")
	sims[1].Kill()
	s.await(1, "down")
	s.stop(false)
	var text strings.Builder
	for _, e := range s.logs.All() {
		fmt.Fprintf(&text, "%s %v\n", e.Message, e.ContextMap())
	}
	for _, want := range []string{
		"configuration map[warning:TETHER_BIN: strange]",
		"listening for clients map[address:127.0.0.1:", "open_to:this host, without API keys",
		"listening for operators map[address:127.0.0.1:", "open_to:loopback, without a token: admin.token_file closes it",
		"API keys of upstreams are sent for clients without keys: every client that can connect here uses them map[upstreams:1]",
		"no session secret", "session map map[pins:100000", "ring map[affinity:true digest:",
		"from:unknown reason:probe succeeded to:up", "from:up reason:probe could not connect to:down",
		"stopped",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if n := s.logs.FilterMessage("upstream changed").Len(); n != 3 {
		t.Errorf("%d changes logged, want 3", n)
	}
}
