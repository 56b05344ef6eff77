package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/e2e/live"
	"tether/wire/wiretest"
)

// process is a simulated server that is a process of its own.
type process struct {
	name, addr string
	cmd        *exec.Cmd
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(binary.Path(), "sim", "--listen", p.addr, "--name", p.name, "--model", "tiny", "--decode", "20ms", "--prefill", "10us")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get("http://" + p.addr + "/health")
		if err == nil {
			res.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// end ends the server as an orchestrator does.
func (p *process) end(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s: %v", p.name, err)
	}
}

// rolled is a fleet of simulated servers, each a process, behind a tether.
func rolled(t *testing.T, servers int) ([]*process, *binary.Tether) {
	t.Helper()
	text := "health: { interval: 200ms }\nsession: { drain_idle: 1s }\nupstreams:\n"
	var fleet []*process
	for i := range servers {
		p := &process{name: fmt.Sprint("vllm-", i), addr: wiretest.FreeAddr(t)}
		p.start(t)
		fleet = append(fleet, p)
		text += fmt.Sprintf("  - { name: %s, url: \"http://%s\" }\n", p.name, p.addr)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return fleet, binary.Run(t, nil, "-c", file)
}

func (p *process) awaitUp(t *testing.T, proxy *binary.Tether) {
	t.Helper()
	proxy.Await(t, fmt.Sprintf("tether_upstream_up{upstream=%q}", p.name), time.Minute, func(v float64) bool { return v == 1 })
}

// All servers are killed and started again, one after another, under conversations of JSON and of streams. No request fails, but each stream that a
// killed server had begun is cut, visibly. Only the conversations of a killed server move: a turn that it had is served elsewhere, and the next
// turns stay where they go then.
func TestRollingRestartByKills(t *testing.T) {
	t.Parallel()
	const servers, all = 3, 60
	fleet, proxy := rolled(t, servers)
	c := live.Start(t, proxy.URL, "X-Sim-Server", all)
	c.GoOn(2)
	table := "\n  killed      had   moved     cut\n"
	for _, p := range fleet {
		on := c.GoOn(1)
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait()
		c.GoOn(2)
		p.start(t)
		p.awaitUp(t, proxy)
		c.GoOn(2)
		moved, cut := c.MovedWithin(2), c.TakeCuts()
		if len(moved) != 1 || moved[p.name] != on[p.name] || on[p.name] == 0 {
			t.Errorf("%s had %d conversations, and these moved: %v", p.name, on[p.name], moved)
		}
		if n := cut[p.name]; len(cut) != 1 || n == 0 || n > on[p.name] {
			t.Errorf("%s was killed, and these streams were cut: %v", p.name, cut)
		}
		table += fmt.Sprintf("  %-10s%5d%8d%8d\n", p.name, on[p.name], moved[p.name], cut[p.name])
	}
	t.Log(table)
	c.End()
}

// All servers are restarted one after another, under conversations of JSON and of streams: drained, ended, started, and used again. No
// request fails. Only the conversations of the server that restarts move, each once.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	const servers, all = 3, 60
	fleet, proxy := rolled(t, servers)
	operator := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(binary.Path(), append(args, "--admin", proxy.Admin)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	c := live.Start(t, proxy.URL, "X-Sim-Server", all)
	c.GoOn(2)
	table := "\n  restarted   had   moved\n"
	for _, p := range fleet {
		on := c.GoOn(1)
		operator("drain", p.name, "--wait", "2m", "--within", "2s")
		p.end(t)
		c.GoOn(1)
		p.start(t)
		p.awaitUp(t, proxy)
		operator("undrain", p.name)
		c.GoOn(1)
		moved := c.Moved()
		if len(moved) != 1 || moved[p.name] != on[p.name] || on[p.name] == 0 {
			t.Errorf("%s had %d conversations, and these moved: %v", p.name, on[p.name], moved)
		}
		table += fmt.Sprintf("  %-10s%5d%8d\n", p.name, on[p.name], moved[p.name])
	}
	t.Log(table)
	c.End()
}
