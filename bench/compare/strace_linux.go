package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// attachLimit bounds the time until strace is attached.
const attachLimit = 5 * time.Second

// calls counts system calls with strace. It slows the process, so that more happens in each wake-up than without.
func (t *trial) calls(ctx context.Context) (figures, error) {
	load, err := t.clients.Start(ctx, t.plan())
	if err != nil {
		return nil, err
	}
	defer load.Close()
	dir, err := os.MkdirTemp("", "bench-strace")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	detach, err := t.attach(ctx, filepath.Join(dir, "summary"))
	if err != nil {
		return nil, err
	}
	load.Reset()
	err = sleep(ctx, t.window)
	counts := load.Counts()
	detach()
	if err := errors.Join(err, counts.Err()); err != nil {
		return nil, err
	}
	summary, err := os.ReadFile(filepath.Join(dir, "summary"))
	if err != nil {
		return nil, err
	}
	f, err := countCalls(string(summary))
	if err != nil {
		return nil, err
	}
	return perUnit(f, t.row, counts)
}

// attach attaches strace to all threads of the process. detach ends it, and then file has its summary.
func (t *trial) attach(ctx context.Context, file string) (detach func(), err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, errNoStrace
	}
	args := []string{"-c", "-f", "-o", file}
	for _, pid := range t.process.Tree() {
		args = append(args, "-p", fmt.Sprint(pid))
	}
	cmd := exec.Command(strace, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	detach = func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait() // the summary tells
	}
	for limit := time.Now().Add(attachLimit); !t.process.Traced(); {
		err := sleep(ctx, 5*time.Millisecond)
		if err == nil && time.Now().After(limit) {
			err = errors.New("strace cannot attach")
		}
		if err != nil {
			detach()
			return nil, err
		}
	}
	return detach, nil
}
