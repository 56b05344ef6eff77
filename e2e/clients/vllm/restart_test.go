package vllm

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restartTime bounds the start of a server: vLLM takes a minute on a free machine.
const restartTime = 5 * time.Minute

// awaitEnd waits until the server refuses connections.
func awaitEnd(t *testing.T, s server) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(s.url + "/health")
		if err != nil {
			return
		}
		res.Body.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server never refused")
		}
	}
}

// childrenOf returns the processes that a process has started, and those that they have: the engine of a server outlives its front end.
func childrenOf(pid int) (all []int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is well formed
	for _, file := range threads {
		text, _ := os.ReadFile(file) // absent once the thread has ended
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), childrenOf(child)...)
			}
		}
	}
	return all
}

// command is what started a server.
type command struct{ args, environ []string }

// commandOf reads the command of a process. servers.sh has started it.
func commandOf(t *testing.T, pid int) (c command) {
	t.Helper()
	for file, words := range map[string]*[]string{"cmdline": &c.args, "environ": &c.environ} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			t.Fatal(err)
		}
		*words = strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	}
	return c
}

// start starts the server again and waits until it serves. It ends with the test.
func (c command) start(t *testing.T, s server) {
	t.Helper()
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Env = c.environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its engine is a process of its own
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() })
	for deadline := time.Now().Add(restartTime); ; time.Sleep(200 * time.Millisecond) {
		res, err := http.Get(s.url + "/health")
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("the server does not start again:\n%s", text[max(0, len(text)-4000):])
		}
	}
}
