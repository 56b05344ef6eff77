//go:build linux

package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tether/e2e/chaos/ledger"
	"tether/sim"
	"tether/sim/fault"
)

// patience bounds the start and the end of a process.
const patience = 30 * time.Second

// Server is a simulated vLLM server in a process of its own.
type Server struct {
	Name, Addr string
	program    string
	log        string // file of its attempts
	p          *process
}

// NewServer makes a server that does not run yet. program is the program that calls Serve, and dir gets the server's file.
func NewServer(program, dir, name string) (*Server, error) {
	addr, err := freeAddr()
	return &Server{Name: name, Addr: addr, program: program, log: filepath.Join(dir, name+".attempts")}, err
}

// Start starts the process, and returns when it answers.
func (s *Server) Start() error {
	var err error
	cmd := exec.Command(s.program, "server", s.Name, s.Addr, s.log)
	cmd.Stderr = os.Stderr
	if s.p, err = start(cmd); err != nil {
		return err
	}
	if err := await(s.p, patience, func() bool { return healthy(s.Addr) }); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// healthy reports whether the server at addr answers its health check.
func healthy(addr string) bool {
	c := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get("http://" + addr + "/health")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// AwaitAnswer returns when the proxy at addr answers a request.
func AwaitAnswer(addr string) error {
	c := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return await(nil, patience, func() bool {
		res, err := c.Post("http://"+addr+"/v1/completions", "application/json", strings.NewReader(`{"model":"tiny","prompt":"are you there?","max_tokens":1}`))
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// Kill ends the process at once.
func (s *Server) Kill() { s.p.kill() }

// Terminate ends the process as vLLM ends: it refuses new requests in words, and ends after the last one.
func (s *Server) Terminate() error {
	s.p.signal(syscall.SIGTERM)
	return s.p.end(time.Minute)
}

// Freeze stops the process; Thaw lets it go on.
func (s *Server) Freeze() { s.p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (s *Server) Thaw() { s.p.signal(syscall.SIGCONT) }

// Inject makes the server apply a fault.
func (s *Server) Inject(f fault.Fault) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return s.fault(http.MethodPost, body)
}

// Clear ends all faults of the server.
func (s *Server) Clear() error { return s.fault(http.MethodDelete, nil) }

func (s *Server) fault(method string, body []byte) error {
	req, err := http.NewRequest(method, "http://"+s.Addr+"/sim/fault", bytes.NewReader(body))
	if err != nil {
		return err
	}
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s: the fault %s got %s", s.Name, body, res.Status)
	}
	return nil
}

// Attempts returns the requests that the server received in all its lives.
func (s *Server) Attempts() ([]ledger.Attempt, error) { return ledger.ReadAttempts(s.log) }

// Serve is the process of a server: name, address and file of its attempts.
func Serve(name, addr, file string) error {
	notes, err := ledger.NewNoter(file)
	if err != nil {
		return err
	}
	life := os.Getpid()
	attempt := func(s sim.Seen) ledger.Attempt {
		return ledger.Attempt{ID: idOf(s), Server: name, Life: life, Faults: s.Faults, At: s.Received, Status: s.Status, Aborted: s.Aborted}
	}
	cfg := sim.Config{
		Name: name, PrefillPerToken: 20 * time.Microsecond, DecodePerToken: 10 * time.Millisecond, RefuseAfter: time.Second,
		OnRequest: func(s sim.Seen) {
			if s.Method == http.MethodPost {
				notes.Note(attempt(s))
			}
		},
		OnDone: func(s sim.Seen) {
			if s.Method == http.MethodPost {
				a := attempt(s)
				a.End = time.Now()
				notes.Note(a)
			}
		},
	}
	graceful, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return sim.Run(graceful, context.Background(), func() bool { return true }, cfg, addr, func(string, ...any) {})
}

// idOf returns the id of a request: the field user of its body, or X-Request-Id.
func idOf(s sim.Seen) string {
	var body struct {
		User string `json:"user"`
	}
	_ = json.Unmarshal(s.Body, &body) // a body that is no JSON has no user
	return cmp.Or(body.User, s.Header.Get("X-Request-Id"))
}

// freeAddr returns an address of this host on which no process listens. Its port is below those that the kernel gives to connections, so
// that it stays free while its process is down.
func freeAddr() (string, error) {
	for port := next.Add(1); port < lastPort; port = next.Add(1) {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("no port of %d..%d is free", firstPort, lastPort)
}
