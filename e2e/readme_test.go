package e2e

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tether/wire/wiretest"
)

// commands returns the lines of the sh blocks in a part of README, without their comments. Tests here run all of them.
func commands(t *testing.T, from, to string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, begins := bytes.Cut(text, []byte(from))
	part, _, ends := bytes.Cut(part, []byte(to))
	if !begins || !ends {
		t.Fatalf("README has no part from %q to %q", from, to)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(part, -1) {
		for line := range strings.Lines(string(block[1])) {
			line, _, _ = strings.Cut(line, " # ")
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// tool skips the test if a program that README assumes is not installed.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
}

// All commands of README are in the two parts that are run.
func TestReadmeIsRun(t *testing.T) {
	all := commands(t, "# tether", "Apache-2.0")
	if run := append(commands(t, "## Try it", "## Use it"), commands(t, "## Use it", "## What it is worth")...); len(all) != len(run) || len(all) < 15 {
		t.Errorf("%d commands, %d of them in the parts that are run", len(all), len(run))
	}
}

// This test mostly waits for the demonstration, so it is parallel. Its calls of make all write bin/tether, one after the other.
func TestReadmeTry(t *testing.T) {
	t.Parallel()
	tool(t, "make")
	tool(t, "curl")
	data, admin := wiretest.FreeAddr(t), wiretest.FreeAddr(t)
	ports := strings.NewReplacer("127.0.0.1:8080", data, "127.0.0.1:8081", admin)
	var printed string
	for _, line := range commands(t, "## Try it", "## Use it") {
		switch {
		case line == "make run":
			printed = makeRun(t, data, admin)
		case line == "make demo-once":
			makeDemoOnce(t)
		case line == "make test": // it would run this test again
			if out, err := exec.Command("make", "-C", "..", "-n", "test").CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		case strings.HasPrefix(line, "curl "):
			if !strings.Contains(printed, ports.Replace(line)) {
				t.Errorf("make run does not print %s", line)
			}
			curl(t, ports.Replace(line))
		default:
			t.Errorf("no test runs %q", line)
		}
	}
}

// curl runs a line of README. The answer must be a 200 with a body.
func curl(t *testing.T, line string) {
	t.Helper()
	out, err := exec.Command("sh", "-c", line+" --silent --show-error --fail --max-time 20").CombinedOutput()
	if err != nil || len(out) == 0 {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// makeRun starts make run and waits until it is ready. It returns the output until then. The cleanup interrupts it like Ctrl-C.
func makeRun(t *testing.T, data, admin string) string {
	t.Helper()
	cmd := exec.Command("make", "-C", "..", "run", "LISTEN="+data, "ADMIN_LISTEN="+admin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := &output{ended: make(chan struct{})}
	pipe, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	go out.collect(pipe)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		err := cmd.Wait()
		writer.Close()
		<-out.ended
		if state := cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil && state.Signal() != syscall.SIGINT {
			t.Errorf("make run ended with %v", err)
		}
		if text := out.text(); !strings.Contains(text, "stopped") {
			t.Errorf("make run did not end in good order\n%s", text)
		}
	})
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get("http://" + admin + "/readyz"); err == nil {
			res.Body.Close()
			if text := out.text(); res.StatusCode == 200 && strings.Contains(text, admin+"/api/upstreams\n") {
				return text
			}
		}
	}
	t.Fatalf("make run never got ready\n%s", out.text())
	return ""
}

// makeDemoOnce compares with and without affinity, which takes half a minute.
func makeDemoOnce(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Log("make demo-once is skipped")
		return
	}
	out, err := exec.Command("make", "-C", "..", "demo-once").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Held: a server died, and 0 of ") {
		t.Errorf("make demo-once: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// output is the output of a command so far.
type output struct {
	ended chan struct{}
	mu    sync.Mutex
	buf   bytes.Buffer // guarded by mu
}

func (o *output) collect(r io.Reader) {
	defer close(o.ended)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		o.mu.Lock()
		o.buf.WriteString(lines.Text() + "\n")
		o.mu.Unlock()
	}
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
