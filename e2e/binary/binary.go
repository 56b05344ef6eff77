// Package binary builds tether and runs it, for tests that know tether as users do. binary.go is tested by these tests.
package binary

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/wire/wiretest"
)

// patience bounds the wait for readiness. Readiness needs the first verdicts about the upstreams, which may take a few seconds.
const patience = 30 * time.Second

var path string

// Path returns the path of the binary that Main built.
func Path() string { return path }

// Main builds the binary, runs the tests, and returns the exit code for TestMain.
func Main(m *testing.M) int {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.Remove(path)
	return m.Run()
}

// build builds the binary in its own module: the caller may be in another one. The flags are those of make build, which shares what is
// compiled. The packages whose tests need the binary share bin/e2e: the first one links it, which takes 3 s of CPU, and the others find it up to
// date. path is a link of this process, so the tests keep their binary when another process builds a newer one.
func build() error {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "tether").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	module := strings.TrimSpace(string(root))
	dir := filepath.Join(module, "bin", "e2e")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("%s: %w", lock.Name(), err)
	}
	shared := filepath.Join(dir, "tether")
	cmd := exec.Command("go", "build", "-trimpath", "-o", shared, ".")
	cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	path = filepath.Join(dir, fmt.Sprint("tether-", os.Getpid()))
	_ = os.Remove(path) // of a process that was killed
	return os.Link(shared, path)
}

// Tether is a running tether. URL is for clients, Admin for operators.
type Tether struct {
	URL, Admin string
	// PID is the id of the process.
	PID int
	cmd *exec.Cmd
	log bytes.Buffer
}

// Run runs tether until the test ends, in front of the upstreams with these URLs, and returns when tether is ready. args are
// additional arguments of "tether run".
func Run(t testing.TB, upstreams []string, args ...string) *Tether {
	t.Helper()
	return run(t, wiretest.FreeAddr(t), wiretest.FreeAddr(t), nil, nil, upstreams, args)
}

// RunWithin is Run with a limit on the descriptors of tether.
func RunWithin(t testing.TB, descriptors int, upstreams []string, args ...string) *Tether {
	t.Helper()
	p := newTether(wiretest.FreeAddr(t), wiretest.FreeAddr(t), upstreams, args)
	limited := fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, descriptors)
	p.cmd = exec.Command("sh", append([]string{"-c", limited}, p.cmd.Args...)...)
	return p.start(t, nil, nil)
}

// RunAt is Run with the addresses of the listeners for clients and for operators.
func RunAt(t testing.TB, data, admin string, upstreams []string, args ...string) *Tether {
	t.Helper()
	return run(t, data, admin, nil, nil, upstreams, args)
}

// RunTo is Run with files for the standard output and the standard error of tether. Each may be nil: the output is then
// discarded, and Log has the error.
func RunTo(t testing.TB, out, errOut *os.File, upstreams []string, args ...string) *Tether {
	t.Helper()
	return run(t, wiretest.FreeAddr(t), wiretest.FreeAddr(t), out, errOut, upstreams, args)
}

func run(t testing.TB, data, admin string, out, errOut *os.File, upstreams, args []string) *Tether {
	t.Helper()
	return newTether(data, admin, upstreams, args).start(t, out, errOut)
}

func newTether(data, admin string, upstreams, args []string) *Tether {
	args = append([]string{"run", "--listen", data, "--admin-listen", admin}, args...)
	for _, u := range upstreams {
		args = append(args, "--upstream", u)
	}
	return &Tether{URL: "http://" + data, Admin: "http://" + admin, cmd: exec.Command(path, args...)}
}

func (p *Tether) start(t testing.TB, out, errOut *os.File) *Tether {
	t.Helper()
	p.cmd.Stderr = &p.log
	if out != nil {
		p.cmd.Stdout = out
	}
	if errOut != nil {
		p.cmd.Stderr = errOut
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			if state := p.End(t, syscall.SIGINT, time.Minute); !state.Success() {
				t.Errorf("tether ended with %v", state)
			}
		}
		if t.Failed() {
			t.Logf("tether's log:\n%s", &p.log)
		}
	})
	p.PID = p.cmd.Process.Pid
	p.awaitReady(t)
	return p
}

// End sends a signal to tether, waits for its end, and returns how it ended. Tether must end within limit.
func (p *Tether) End(t testing.TB, s syscall.Signal, limit time.Duration) *os.ProcessState {
	t.Helper()
	_ = p.cmd.Process.Signal(s)
	overdue := time.AfterFunc(limit, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // the state tells
	if !overdue.Stop() {
		t.Errorf("tether did not end within %v of %v", limit, s)
	}
	return p.cmd.ProcessState
}

func (p *Tether) awaitReady(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if res, err := http.Get(p.Admin + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == 200 {
				return
			}
		}
	}
	t.Fatal("tether never got ready")
}

// Metric returns the value of a metric, by name and labels. It is 0 if there is none.
func (p *Tether) Metric(t testing.TB, series string) float64 {
	t.Helper()
	res, err := http.Get(p.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Await waits until holds is true for a metric, by name and labels. It fails the test after limit.
func (p *Tether) Await(t testing.TB, series string, limit time.Duration, holds func(float64) bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		v := p.Metric(t, series)
		if holds(v) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s stays %v", series, v)
		}
	}
}

// Log returns the log so far. It is complete in cleanups that were registered before Run.
func (p *Tether) Log() string { return p.log.String() }

// CPU returns the CPU time of all threads of tether so far. Where the system does not tell it, the test is skipped.
func (p *Tether) CPU(t testing.TB) (sum time.Duration) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID))
	if err != nil || len(files) == 0 {
		t.Skip("this system does not tell the CPU time of threads")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}
