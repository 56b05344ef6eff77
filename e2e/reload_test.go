package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/e2e/live"
	"tether/sim"
)

// Under 200 live conversations a reload adds a fifth server, and a second one removes it again. The first moves no conversation; the
// second those of the leaving server, each once. No request fails.
func TestReloadUnderLoad(t *testing.T) {
	var urls []string
	for i := range 5 {
		s := sim.New(sim.Config{Name: fmt.Sprint("vllm-", i), DecodePerToken: 20 * time.Millisecond, PrefillPerToken: 10 * time.Microsecond})
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		urls = append(urls, s.URL())
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(n int) {
		t.Helper()
		text := "health: {interval: 200ms}\nupstreams:\n"
		for i := range n {
			text += fmt.Sprintf("  - { name: vllm-%d, url: %q }\n", i, urls[i])
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(4)
	p := binary.Run(t, nil, "-c", file)
	c := live.Start(t, p.URL, "X-Sim-Server", 200)
	c.GoOn(2)
	const patience, reloads = time.Minute, `tether_config_reloads_total{result="ok"}`
	is := func(want float64) func(float64) bool { return func(v float64) bool { return v == want } }

	write(5) // tether notices by itself
	p.Await(t, reloads, patience, is(1))
	p.Await(t, `tether_upstream_up{upstream="vllm-4"}`, patience, is(1))
	c.GoOn(3)
	up := c.Moved()
	if len(up) > 0 {
		t.Errorf("a further server moved conversations of %v", up)
	}
	for i := range 100 { // new conversations find the new server
		if _, err := c.Turn(1001+2*i, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Metric(t, `tether_upstream_pins{upstream="vllm-4"}`); n == 0 {
		t.Error("no new conversation is on the new server")
	}

	// vllm-3 leaves, and comes back.
	on := c.GoOn(1)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	three := strings.Index(string(text), "  - { name: vllm-3")
	four := strings.Index(string(text), "  - { name: vllm-4")
	if err := os.WriteFile(file, append(text[:three:three], text[four:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.Await(t, reloads, patience, is(2))
	c.GoOn(3)
	down := c.Moved()
	if len(down) != 1 || down["vllm-3"] != on["vllm-3"] || on["vllm-3"] == 0 {
		t.Errorf("the server that left had %d conversations, and these moved: %v", on["vllm-3"], down)
	}
	if n := p.Metric(t, `tether_upstream_up{upstream="vllm-3"}`); n != 0 {
		t.Error("the series of the removed server is there")
	}
	t.Logf("up: %v moved; down: %v moved of %v", up, down, on)
	c.End()
}
