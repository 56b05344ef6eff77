//go:build linux

package fleet

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Tether is tether in front of servers that a file lists. Its processes follow one another: Restart and HandOver replace the process.
type Tether struct {
	Addr, Admin string
	program     string
	dir         string
	servers     []*Server
	p           atomic.Pointer[process]
	out         []*Gate // of the present process
	version     int     // of the configuration
	since       atomic.Int64
}

// Since returns when the present process was ready.
func (t *Tether) Since() time.Time { return time.Unix(0, t.since.Load()) }

// Kill ends the process at once, if it runs.
func (t *Tether) Kill() {
	if p := t.p.Load(); p != nil {
		p.kill()
	}
}

// NewTether makes a tether that does not run yet. dir gets its files.
func NewTether(program, dir string, servers []*Server) (*Tether, error) {
	t := &Tether{program: program, dir: dir, servers: servers}
	var err error
	if t.Addr, err = freeAddr(); err != nil {
		return nil, err
	}
	t.Admin, err = freeAddr()
	return t, err
}

// The limits are shorter than the defaults, so that a short run passes them.
const configuration = `listen: %q
admin: { listen: %q }
discovery:
  - file: %q
session: { snapshot: %q, drain_idle: %ds }
health: { interval: 500ms, timeout: 500ms }
proxy:
  head_timeout: 12s
  idle_timeout: 5s
  client_write_timeout: 3s
  shutdown_delay: 1s
  shutdown_timeout: 30s
  handover: %q
log: { access: all }
`

// configure writes the configuration, with one key that differs each time.
func (t *Tether) configure() error {
	t.version++
	text := fmt.Sprintf(configuration, t.Addr, t.Admin, t.file("upstreams.yaml"), t.file("pins"), 10+t.version%20, t.file("handover"))
	return t.replace("tether.yaml", text)
}

// List writes the list of servers, without those that are named.
func (t *Tether) List(without ...string) error {
	var b strings.Builder
	for _, s := range t.servers {
		if !strings.Contains(" "+strings.Join(without, " ")+" ", " "+s.Name+" ") {
			fmt.Fprintf(&b, "- { name: %s, url: \"http://%s\" }\n", s.Name, s.Addr)
		}
	}
	return t.replace("upstreams.yaml", b.String())
}

// replace writes a file under another name and renames it, as operators should.
func (t *Tether) replace(name, text string) error {
	if err := os.WriteFile(t.file(name+".new"), []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(t.file(name+".new"), t.file(name))
}

func (t *Tether) file(name string) string { return filepath.Join(t.dir, name) }

// Start starts the first process, and returns when it is ready.
func (t *Tether) Start() error {
	if err := t.configure(); err != nil {
		return err
	}
	if err := t.List(); err != nil {
		return err
	}
	return t.run()
}

// run starts a process in the place of the present one.
func (t *Tether) run() error {
	cmd := exec.Command(t.program, "run", "-c", t.file("tether.yaml"))
	var gates []*Gate
	for _, to := range []struct {
		name string
		file *io.Writer
	}{{"access.log", &cmd.Stdout}, {"tether.log", &cmd.Stderr}} {
		g, err := newGate(t.file(to.name))
		if err != nil {
			return err
		}
		*to.file = g.w
		gates = append(gates, g)
	}
	p, err := start(cmd)
	for _, g := range gates {
		g.w.Close() // the process has it
	}
	if err != nil {
		return err
	}
	t.out = gates
	t.p.Store(p)
	if err := await(p, patience, func() bool { return healthyAt(t.Admin, "/readyz") }); err != nil {
		return fmt.Errorf("tether: %w", err)
	}
	t.since.Store(time.Now().UnixNano())
	return nil
}

func healthyAt(addr, path string) bool {
	_, err := fetch(http.MethodGet, addr, path)
	return err == nil
}

// fetch returns the body of an answer below 300.
func fetch(method, addr, path string) ([]byte, error) {
	req, err := http.NewRequest(method, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, body)
	}
	return body, err
}

// Stop ends tether as an operator does. It must end well.
func (t *Tether) Stop() error {
	t.p.Load().signal(syscall.SIGTERM)
	if err := t.p.Load().end(time.Minute); err != nil {
		return fmt.Errorf("tether: %w", err)
	}
	return nil
}

// Restart ends the process, and starts another one after that.
func (t *Tether) Restart() error {
	if err := t.Stop(); err != nil {
		return err
	}
	return t.run()
}

// HandOver starts a process that takes over from the present one, and returns when that has ended.
func (t *Tether) HandOver() error {
	old := t.p.Load()
	if err := t.run(); err != nil {
		return err
	}
	if err := old.end(time.Minute); err != nil {
		return fmt.Errorf("the tether that handed over: %w", err)
	}
	t.since.Store(time.Now().UnixNano())
	return nil
}

// Reload changes the configuration and sends SIGHUP.
func (t *Tether) Reload() error {
	if err := t.configure(); err != nil {
		return err
	}
	t.p.Load().signal(syscall.SIGHUP)
	return nil
}

// Drain drains a server; with hard its pinned conversations move.
func (t *Tether) Drain(server string, hard bool) error {
	_, err := fetch(http.MethodPost, t.Admin, fmt.Sprintf("/api/upstreams/%s/drain?hard=%v", server, hard))
	return err
}

// Undrain ends a drain.
func (t *Tether) Undrain(server string) error {
	_, err := fetch(http.MethodPost, t.Admin, "/api/upstreams/"+server+"/undrain")
	return err
}

// HoldLogs stops reading both logs, and ReleaseLogs goes on.
func (t *Tether) HoldLogs() {
	for _, g := range t.out {
		g.hold()
	}
}

// ReleaseLogs reads both logs again.
func (t *Tether) ReleaseLogs() {
	for _, g := range t.out {
		g.release()
	}
}

// LimitDescriptors leaves tether a number of further descriptors, and returns a function that restores the limit.
func (t *Tether) LimitDescriptors(further int) (restore func() error, err error) {
	open, err := t.Descriptors()
	if err != nil {
		return nil, err
	}
	var before unix.Rlimit
	if err := unix.Prlimit(t.p.Load().pid(), unix.RLIMIT_NOFILE, nil, &before); err != nil {
		return nil, err
	}
	low := unix.Rlimit{Cur: uint64(open + further), Max: before.Max}
	pid := t.p.Load().pid()
	return func() error { return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil) }, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &low, nil)
}

// Descriptors returns the number of tether's open descriptors.
func (t *Tether) Descriptors() (int, error) {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", t.p.Load().pid()))
	return len(all), err
}

// RSS returns tether's resident memory in bytes.
func (t *Tether) RSS() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", t.p.Load().pid()))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, fmt.Errorf("statm has %d fields", len(fields))
	}
	pages, err := strconv.Atoi(string(fields[1]))
	return pages * os.Getpagesize(), err
}

// Collect makes tether collect its garbage.
func (t *Tether) Collect() error {
	_, err := fetch(http.MethodGet, t.Admin, "/debug/pprof/heap?gc=1")
	return err
}

// Sum returns the sum of all series of a metric.
func (t *Tether) Sum(metric string) (sum float64, err error) {
	text, err := fetch(http.MethodGet, t.Admin, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		rest, is := strings.CutPrefix(line, metric)
		if !is || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

// Goroutines returns the stacks of tether's goroutines.
func (t *Tether) Goroutines() (string, error) {
	text, err := fetch(http.MethodGet, t.Admin, "/debug/pprof/goroutine?debug=1")
	return string(text), err
}
