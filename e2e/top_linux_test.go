package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tether/e2e/binary"
	"tether/sim"
)

// terminal is a pseudo-terminal, and what was written to it.
type terminal struct {
	control, side *os.File

	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func openTerminal(t *testing.T, columns, lines uint16) *terminal {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("this system has no pseudo-terminals: ", err)
	}
	if err := unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(side.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: lines}); err != nil {
		t.Fatal(err)
	}
	m := &terminal{control: control, side: side}
	go m.read() // until the terminal is closed
	t.Cleanup(func() { side.Close(); control.Close() })
	return m
}

func (m *terminal) read() {
	buffer := make([]byte, 64<<10)
	for {
		n, err := m.control.Read(buffer)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.text.Write(buffer[:n])
		m.mu.Unlock()
	}
}

func (m *terminal) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		m.mu.Lock()
		found, all := strings.Contains(m.text.String(), text), m.text.String()
		m.mu.Unlock()
		if found {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the terminal does not show %q: %q", text, all)
		}
	}
}

// "tether top" shows the servers in a terminal, notices that one has died, and leaves the terminal as it was.
func TestTop(t *testing.T) {
	server := sim.New(sim.Config{Name: "a"})
	if _, err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	file := t.TempDir() + "/tether.yaml"
	if err := os.WriteFile(file, fmt.Appendf(nil, "upstreams: [{ name: first, url: %q }]\nhealth: { interval: 100ms }\n", server.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := binary.Run(t, nil, "-c", file)
	m := openTerminal(t, 100, 30)
	top := exec.Command(binary.Path(), "top", "--admin", p.Admin)
	top.Stdin, top.Stdout, top.Stderr, top.Env = m.side, m.side, m.side, append(os.Environ(), "TERM=xterm-256color")
	if err := top.Start(); err != nil {
		t.Fatal(err)
	}
	m.await(t, "first")
	m.await(t, "EVENTS")
	server.Kill()
	m.await(t, "probe could not connect")
	if _, err := m.control.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := top.Wait(); err != nil {
		t.Errorf("top ended with %v", err)
	}
	m.await(t, "\x1b[?1049l") // the normal screen
}
