package fleet

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim/fault"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "server" {
		if err := Serve(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(binary.Main(m))
}

func newServer(t *testing.T, dir, name string) *Server {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(program, dir, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

func ask(t *testing.T, addr, id string) (status int, server string) {
	t.Helper()
	req, err := http.NewRequest("POST", "http://"+addr+"/v1/completions", strings.NewReader(`{"prompt":"some words to answer","max_tokens":2}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Request-Id", id)
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		return 0, ""
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("X-Sim-Server")
}

// A server is killed, terminated, frozen and broken, starts again at the same address, and has noted the requests of all its lives.
func TestServer(t *testing.T) {
	s := newServer(t, t.TempDir(), "vllm-0")
	if status, name := ask(t, s.Addr, "a"); status != 200 || name != "vllm-0" {
		t.Fatal(status, name)
	}
	s.Kill()
	if status, _ := ask(t, s.Addr, "b"); status != 0 {
		t.Errorf("a killed server answers %d", status)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Inject(fault.Fault{Kind: fault.Status, Arg: "500"}); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, s.Addr, "c"); status != 500 {
		t.Errorf("a server with a fault answers %d", status)
	}
	if err := s.Clear(); err != nil {
		t.Fatal(err)
	}
	if err := s.Inject(fault.Fault{Kind: "nonsense"}); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("an unknown fault: %v", err)
	}
	s.Freeze()
	if err := await(nil, time.Minute, func() bool { return state(t, s.p.pid()) == "T" }); err != nil {
		t.Error(err)
	}
	s.Thaw()
	if err := s.Terminate(); err != nil {
		t.Fatal(err)
	}
	attempts, err := s.Attempts()
	if err != nil || len(attempts) != 2 || attempts[0].ID != "a" || attempts[1].ID != "c" || !attempts[1].Done() || attempts[0].Life == attempts[1].Life {
		t.Errorf("%+v, %v", attempts, err)
	}
	if got := attempts[1]; got.Status != 500 || fmt.Sprint(got.Faults) != "[status]" {
		t.Errorf("%+v", got)
	}
}

// state is the state of a process in /proc/PID/stat.
func state(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))[0]
}

// tether is reloaded, drained, restarted and handed over, loses its descriptors and the readers of its logs, and serves after each.
func TestTether(t *testing.T) {
	dir := t.TempDir()
	servers := []*Server{newServer(t, dir, "vllm-0"), newServer(t, dir, "vllm-1")}
	tether, err := NewTether(binary.Path(), dir, servers)
	if err != nil {
		t.Fatal(err)
	}
	if err := tether.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tether.Kill)
	n := 0
	serves := func(after string) {
		t.Helper()
		n++
		if status, _ := ask(t, tether.Addr, fmt.Sprint("t", n)); status != 200 {
			t.Errorf("after %s, tether answers %d", after, status)
		}
	}
	serves("its start")
	first := tether.p.Load().pid()
	for name, change := range map[string]func() error{"Restart": tether.Restart, "HandOver": tether.HandOver} {
		before := tether.Since()
		if err := change(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !tether.Since().After(before) || tether.p.Load().pid() == first {
			t.Errorf("%s did not replace the process", name)
		}
		serves(name)
	}
	if err := tether.Drain("vllm-0", true); err != nil {
		t.Fatal(err)
	}
	if err := tether.Drain("vllm-9", true); err == nil {
		t.Error("an unknown server can be drained")
	}
	if _, server := ask(t, tether.Addr, "drained"); server != "vllm-1" {
		t.Errorf("a drained server got a request: %s", server)
	}
	if err := tether.Undrain("vllm-0"); err != nil {
		t.Fatal(err)
	}
	if err := tether.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := await(nil, time.Minute, func() bool { sum, _ := tether.Sum("tether_config_reloads_total"); return sum > 0 }); err != nil {
		t.Error("no reload: ", err)
	}
	if err := tether.List("vllm-1"); err != nil {
		t.Fatal(err)
	}
	if err := await(nil, time.Minute, func() bool { sum, _ := tether.Sum("tether_upstream_up"); return sum == 1 }); err != nil {
		t.Error("the list has no effect: ", err)
	}
	serves("a list")
	if err := tether.Stop(); err != nil {
		t.Error(err)
	}
}

// Logs that are held stay in the pipe, and are in the file later. A limit on descriptors is that of the process.
func TestOwnResources(t *testing.T) {
	dir := t.TempDir()
	tether, err := NewTether(binary.Path(), dir, []*Server{newServer(t, dir, "vllm-0")})
	if err != nil {
		t.Fatal(err)
	}
	if err := tether.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tether.Kill)
	lines := func() int {
		text, err := os.ReadFile(filepath.Join(dir, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
	tether.HoldLogs()
	for i := range 5 {
		ask(t, tether.Addr, fmt.Sprint("l", i))
	}
	if n := lines(); n > 1 { // the read that had begun
		t.Errorf("%d lines are in the log that is held", n)
	}
	tether.ReleaseLogs()
	if err := await(nil, time.Minute, func() bool { return lines() == 5 }); err != nil {
		t.Errorf("%d lines are in the log", lines())
	}

	restore, err := tether.LimitDescriptors(1)
	if err != nil {
		t.Fatal(err)
	}
	limits := func() string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", tether.p.Load().pid()))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	low := limits()
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if low == limits() {
		t.Error("the limit of descriptors is that of before")
	}
	if rss, err := tether.RSS(); err != nil || rss < 1<<20 {
		t.Errorf("%d bytes, %v", rss, err)
	}
	if err := tether.Collect(); err != nil {
		t.Error(err)
	}
	if text, err := tether.Goroutines(); err != nil || !strings.HasPrefix(text, "goroutine profile: total") {
		t.Errorf("%.40s, %v", text, err)
	}
}

// A process that ends, or does not get ready, is an error.
func TestProcess(t *testing.T) {
	p, err := start(exec.Command("false"))
	if err != nil {
		t.Fatal(err)
	}
	if err := await(p, time.Minute, func() bool { return false }); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("got %v", err)
	}
	if p, err = start(exec.Command("sleep", "60")); err != nil {
		t.Fatal(err)
	}
	if err := await(p, time.Millisecond, func() bool { return false }); err == nil || !strings.Contains(err.Error(), "not ready") {
		t.Errorf("got %v", err)
	}
	if err := p.end(time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Errorf("got %v", err)
	}
	if err := syscall.Kill(p.pid(), 0); err == nil {
		t.Error("the process runs")
	}
}

func TestFreeAddr(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		addr, err := freeAddr()
		if err != nil || seen[addr] {
			t.Fatal(addr, err)
		}
		seen[addr] = true
	}
}
