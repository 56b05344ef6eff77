//go:build linux

package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a child of this process. It ends with this process.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // of its end; read it after ended
}

// start starts a command, whose files the caller has set.
func start(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go p.wait()
	return p, nil
}

func (p *process) wait() {
	p.err = p.cmd.Wait()
	close(p.ended)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) } // fails if it has ended

// end waits for the end of the process, and kills it after limit.
func (p *process) end(limit time.Duration) error {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.ended:
		return p.err
	case <-t.C:
		p.kill()
		return fmt.Errorf("%s did not end within %v", p.cmd.Args[0], limit)
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// await calls ready until it is true, for at most limit. It gives up if the process ends, which may be nil.
func await(p *process, limit time.Duration, ready func() bool) error {
	var ended chan struct{}
	if p != nil {
		ended = p.ended
	}
	for deadline := time.Now().Add(limit); !ready(); {
		select {
		case <-ended:
			return fmt.Errorf("it ended: %w", errOf(p))
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it was not ready within %v", limit)
		}
	}
	return nil
}

func errOf(p *process) error {
	if p.err == nil {
		return errors.New("exit code 0")
	}
	return p.err
}
