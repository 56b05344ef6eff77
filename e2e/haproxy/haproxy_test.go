// Package haproxy runs the built binary behind a real HAProxy, as Debian ships it: HAProxy's check, and clients whose requests go
// on while either of the two is reloaded, restarted or killed.
package haproxy

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/wire/wiretest"
)

// patience bounds every wait of these tests. None is expected to take that long.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// front is an HAProxy in front of tether: a master process and its worker.
type front struct {
	addr string // for clients
	dir  string // of the configuration and the sockets
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// The check is HTTP/1.0 without any field, HAProxy's default. The rest is the default too, apart from times.
const configuration = `global
    stats socket %[1]s/stats.sock mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
listen tether
    bind %[2]s
    option httpchk GET %[4]s
    server tether %[3]s check inter %[5]s
`

// checkInterval is HAProxy's default.
const checkInterval = 2 * time.Second

// newFront runs HAProxy in front of a tether that listens on addr, until the test ends. It checks the path each interval.
func newFront(t *testing.T, addr, path string, interval time.Duration) *front {
	t.Helper()
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("haproxy is not installed: tether is not tried behind it")
	}
	dir, err := os.MkdirTemp("", "haproxy") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &front{addr: wiretest.FreeAddr(t), dir: dir}
	if err := os.WriteFile(filepath.Join(dir, "cfg"), fmt.Appendf(nil, configuration, dir, f.addr, addr, path, interval), 0o600); err != nil {
		t.Fatal(err)
	}
	f.start(t)
	t.Cleanup(func() {
		_ = f.cmd.Process.Signal(syscall.SIGTERM)
		_ = f.cmd.Wait() // its error is the signal
		if t.Failed() {
			t.Logf("HAProxy's log:\n%s", &f.log)
		}
	})
	return f
}

// start starts the processes, and returns when HAProxy listens.
func (f *front) start(t *testing.T) {
	t.Helper()
	f.cmd = exec.Command("haproxy", "-W", "-S", f.dir+"/master.sock", "-f", f.dir+"/cfg")
	f.cmd.Stdout, f.cmd.Stderr = &f.log, &f.log
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "HAProxy never listened", func() bool {
		c, err := net.Dial("tcp", f.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill kills master and workers.
func (f *front) kill(t *testing.T) {
	t.Helper()
	workers := f.workers(t)
	_ = f.cmd.Process.Kill()
	for _, pid := range workers {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = f.cmd.Wait() // its error is the signal
}

// reload makes the master start another worker, and returns when the old one has ended: it serves its connections to their end.
func (f *front) reload(t *testing.T) {
	t.Helper()
	old := f.workers(t)
	f.ask(t, "master", "reload")
	await(t, "HAProxy never reloaded", func() bool {
		now := f.workers(t)
		return len(now) == 1 && !slices.Contains(old, now[0])
	})
}

// workers returns the process ids of the workers, old ones included.
func (f *front) workers(t *testing.T) (pids []int) {
	t.Helper()
	for line := range strings.Lines(f.ask(t, "master", "show proc")) {
		if words := strings.Fields(line); len(words) > 2 && words[1] == "worker" {
			pid, err := strconv.Atoi(words[0])
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// ask sends a command to a socket of HAProxy, and returns the answer. During a reload the socket may give none.
func (f *front) ask(t *testing.T, socket, command string) string {
	t.Helper()
	c, err := net.Dial("unix", f.dir+"/"+socket+".sock")
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return ""
	}
	_ = c.(*net.UnixConn).CloseWrite()
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// server returns what HAProxy says of its server, tether: the columns of "show stat" by name.
func (f *front) server(t *testing.T) map[string]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(f.ask(t, "stats", "show stat"), "# "))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row[1] != "tether" {
			continue
		}
		columns := map[string]string{}
		for i, name := range rows[0] {
			columns[name] = strings.TrimPrefix(row[i], "* ") // before the status of the last check while the next one is under way
		}
		return columns
	}
	return nil
}

// awaitCheck waits until the status of HAProxy's check is another than old, and returns what server returns.
func (f *front) awaitCheck(t *testing.T, old string) (server map[string]string) {
	t.Helper()
	await(t, "HAProxy never checked", func() bool {
		server = f.server(t)
		status := server["check_status"]
		return status != "" && status != "INI" && status != old
	})
	return server
}

// await waits until a condition holds.
func await(t *testing.T, complaint string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(complaint)
		}
	}
}
