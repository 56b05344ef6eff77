package logs

import (
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tether/e2e/binary"
)

// Both logs stall while clients and operators cause more lines than the queues hold. tether works on. Once the logs are read
// again, their lines are whole and in order, and the counts of dropped lines are right.
func TestStalledLogs(t *testing.T) {
	out, errOut := fullPipe(t), fullPipe(t)
	w := start(t, out.w, errOut.w, simulated(t))
	w.flood(8, 1000)
	w.serves()
	w.drainsUntilDropped()
	if w.dropped("access") == 0 {
		t.Fatal("the access log drops no lines")
	}

	out.read()
	errOut.read()
	errOut.await("the loss of tether's own log", isLossOf("app"))
	errOut.await("the loss of the access log", isLossOf("access"))
	before := w.dropped("access")
	w.flood(8, 10)
	w.serves()
	w.drains(10)
	access, app := w.dropped("access"), w.dropped("app")
	w.proxy.End(t, syscall.SIGINT, exitLimit)

	if access != before {
		t.Errorf("%d lines dropped after the loss was reported", access-before)
	}
	lines, own := out.all(), errOut.all()
	checkOrder(t, lines)
	checkChanges(t, own)
	if got := len(lines) + access; got != w.total() {
		t.Errorf("%d lines and %d dropped ones, want the %d requests", len(lines), access, w.total())
	}
	for log, want := range map[string]int{"access": access, "app": app} {
		if got, reports := losses(own, log); got != want || reports != 1 {
			t.Errorf("%s: %d lines in %d reports, want %d in one", log, got, reports, want)
		}
	}
	t.Logf("%d lines of the access log, %d dropped; %d lines of tether's own log, %d dropped", len(lines), access, len(own), app)
}

// The readers of both logs leave.
func TestReadersLeave(t *testing.T) {
	out, errOut := newPipe(t), newPipe(t)
	w := start(t, out.w, errOut.w, simulated(t))
	for _, p := range []*pipe{out, errOut} {
		p.w.Close()
		p.r.Close()
	}
	w.flood(4, 100)
	w.serves()
	w.drains(10)
	if state := w.proxy.End(t, syscall.SIGINT, exitLimit); !state.Success() {
		t.Errorf("ended with %v", state)
	}
}

// Signals, and crashes, end tether while both logs are stalled. The pipes then have whole lines.
func TestEndWhileStalled(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGINT, 0}, {syscall.SIGTERM, 0}, {syscall.SIGABRT, 2}} {
		t.Run(c.signal.String(), func(t *testing.T) {
			t.Setenv("TETHER_PROXY_SHUTDOWN_DELAY", "1ms")
			out, errOut := newPipe(t), fullPipe(t)
			w := start(t, out.w, errOut.w, simulated(t))
			w.flood(4, 100) // more than the pipe holds
			w.drainsUntilDropped()
			state := w.proxy.End(t, c.signal, exitLimit)
			if state.ExitCode() != c.code {
				t.Errorf("ended with %v, want code %d", state, c.code)
			}
			out.read()
			checkOrder(t, out.all())
			if errOut.read(); c.code == 0 {
				errOut.all()
			}
		})
	}
}

// tether cannot start, and cannot say why: it ends with the right code all the same.
func TestErrorWhileStalled(t *testing.T) {
	taken := simulated(t)
	errOut := fullPipe(t)
	cmd := exec.Command(binary.Path(), "run", "--listen", taken.Addr(), "--admin-listen", "127.0.0.1:0", "--upstream", taken.URL())
	cmd.Stderr = errOut.w
	overdue := time.AfterFunc(exitLimit, func() { _ = cmd.Process.Kill() })
	defer overdue.Stop()
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("%v, want exit code 2", err)
	}
}

// What net/http complains about on the admin listener is a line of tether's own log like all others.
func TestErrorsOfTheAdminListener(t *testing.T) {
	out, errOut := newPipe(t), newPipe(t)
	w := start(t, out.w, errOut.w, simulated(t))
	out.read()
	errOut.read()
	if err := unix.Prlimit(w.proxy.PID, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 1 << 10}, nil); err != nil {
		t.Skip(err)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(w.proxy.Admin, "http://")) // cannot be accepted
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	errOut.await("the connection that was not accepted", func(l line) bool { return strings.Contains(l.Message, "too many open files") })
	if err := unix.Prlimit(w.proxy.PID, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 10, Max: 1 << 10}, nil); err != nil {
		t.Fatal(err)
	}
	w.proxy.End(t, syscall.SIGINT, exitLimit)
	errOut.all()
}
