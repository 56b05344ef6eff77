package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// patience bounds the time until a peer listens.
	patience = 20 * time.Second
	// goodbye bounds the time until a peer has ended. It is then killed.
	goodbye = 3 * time.Second
)

// Process is a running peer.
type Process struct {
	Peer
	// Addr is where clients connect, HOST:PORT.
	Addr string
	// PID is the id of the process that was started. It may have children.
	PID   int
	admin string // where tether serves operators
	cmd   *exec.Cmd
	log   output
	dir   string
	end   chan struct{} // closed when the process has ended
}

// output keeps the beginning of what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

const maxOutput = 2 << 10

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b[:min(len(b), maxOutput-o.text.Len())])
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Start starts a peer on a free port, and returns when it listens. The caller calls Stop. The peer ends with the thread that calls Start.
func (p Peer) Start(ctx context.Context, w World) (*Process, error) {
	dir, err := os.MkdirTemp("", "bench-"+strings.ToLower(filepath.Base(p.Binary)))
	if err != nil {
		return nil, err
	}
	w.Dir = dir
	if w.Addr, err = freeAddr(); err != nil {
		return nil, err
	}
	if w.Admin, err = freeAddr(); err != nil {
		return nil, err
	}
	args, err := p.command(p.Binary, w)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	r := &Process{Peer: p, Addr: w.Addr, admin: w.Admin, cmd: exec.Command(args[0], args[1:]...), dir: dir, end: make(chan struct{})}
	if p.Engine != "" {
		r.cmd.Env = append(os.Environ(), "TETHER_PROXY_ENGINE="+p.Engine)
	}
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := r.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	r.PID = r.cmd.Process.Pid
	go r.wait()
	if err := r.awaitListening(ctx); err != nil {
		r.Stop()
		return nil, fmt.Errorf("%w\n%s", err, &r.log)
	}
	return r, nil
}

// freeAddr returns an address of 127.0.0.1 that nothing listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (r *Process) wait() {
	_ = r.cmd.Wait() // how it ended is in its log
	close(r.end)
}

// awaitListening returns when the peer accepts connections.
func (r *Process) awaitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, err := net.Dial("tcp", r.Addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-r.end:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return errors.New("it does not listen")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop ends the peer with its children, and removes its files.
func (r *Process) Stop() {
	end := syscall.SIGTERM
	if r.interrupt {
		end = syscall.SIGINT
	}
	_ = r.cmd.Process.Signal(end)
	select {
	case <-r.end:
	case <-time.After(goodbye):
	}
	_ = syscall.Kill(-r.PID, syscall.SIGKILL) // the group is the peer's own
	<-r.end
	os.RemoveAll(r.dir)
}

// Ended reports whether the peer has ended.
func (r *Process) Ended() bool {
	select {
	case <-r.end:
		return true
	default:
		return false
	}
}

// Log returns the beginning of what the peer wrote.
func (r *Process) Log() string { return r.log.String() }

// engine is how tether's log names the engine that it runs.
var engine = regexp.MustCompile(`"engine":"(\w+)"`)

// RunningEngine returns the engine that tether's log names, or "".
func (r *Process) RunningEngine() string {
	if m := engine.FindStringSubmatch(r.Log()); m != nil {
		return m[1]
	}
	return ""
}

// Tree returns the ids of the process and its descendants.
func (r *Process) Tree() (pids []int) {
	parents := parents()
	pids = []int{r.PID}
	for i := 0; i < len(pids); i++ {
		for pid, parent := range parents {
			if parent == pids[i] && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
