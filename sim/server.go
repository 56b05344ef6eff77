package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tether/sim/engine"
	"tether/sim/fault"
)

// Server is one simulated vLLM server. Its methods may be called from any goroutine.
type Server struct {
	cfg    Config
	faults *fault.Set
	seen   *recorder
	bell   bell // rings after every change of Load and Stats
	memory atomic.Pointer[memory]

	starting sync.Mutex // held by Start

	mu     sync.Mutex // not held while Start waits: the last requests of a life may need it
	listen string     // guarded by mu; where the next life listens
	life   *life      // guarded by mu; nil before the first Start
}

// memory is the state that a server loses with its process: the engines with their caches, and the stored responses.
type memory struct {
	began float64 // Unix seconds
	ranks *engine.Ranks
	store *store
	sleep *sleep
}

// New makes a server that does not listen yet. A configuration that Validate refuses is a bug of the caller: New panics.
func New(cfg Config) *Server {
	if err := cfg.Validate(); err != nil {
		panic("BUG: sim config: " + err.Error())
	}
	s := &Server{cfg: cfg.withDefaults(), faults: fault.NewSet()}
	s.seen = &recorder{limit: s.cfg.Record}
	s.Forget()
	return s
}

// Start listens on a TCP address ("127.0.0.1:0") or a Unix socket ("unix:/path"), serves in the background, and returns
// the address as Addr does. The caller ends the server with Stop, Kill or Drain, and may start it again after that.
func (s *Server) Start(listen string) (string, error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	if l := s.current(); l != nil {
		if !l.isClosing() {
			return "", fmt.Errorf("sim: already listening on %s", s.Addr())
		}
		l.await()
		if l.lost.Swap(false) {
			s.Forget()
		}
	}
	ln, err := listenOn(listen)
	if err != nil {
		return "", err
	}
	if _, unix := socketPath(listen); !unix {
		listen = ln.Addr().String()
	}
	l := newLife(s, ln)
	s.mu.Lock()
	s.listen, s.life = listen, l
	s.mu.Unlock()
	go l.serve()
	return listen, nil
}

// Restart listens again on the address of the last Start. After Stop the caches and stored responses are still there. After
// Kill, Drain and the fault kill they are lost, as with a new process.
//
// Nothing holds the port while the server is stopped, so the kernel may lend it to an outgoing connection. Restart then tries again
// for restartWait.
func (s *Server) Restart() error {
	for deadline := time.Now().Add(restartWait); ; time.Sleep(restartPause) {
		_, err := s.Start(s.Addr())
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return err
		}
	}
}

const (
	restartWait  = 10 * time.Second
	restartPause = 50 * time.Millisecond
)

// listenOnTCP listens on a port of its own choice if listen names port 0. While the server is down, no other process gets that port: the kernel gives
// higher ones to connections, and to listeners that name none.
func listenOnTCP(listen string) (net.Listener, error) {
	const first, last, tries = 27_500, 30_000, 100
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port != "0" {
		return net.Listen("tcp", listen)
	}
	for range tries {
		if ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(first+rand.IntN(last-first)))); err == nil {
			return ln, nil
		}
	}
	return net.Listen("tcp", listen)
}

func listenOn(listen string) (net.Listener, error) {
	path, unix := socketPath(listen)
	if !unix {
		return listenOnTCP(listen)
	}
	// The socket file of a killed process would make listening fail.
	if info, err := os.Stat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return net.Listen("unix", path)
}

func socketPath(listen string) (path string, unix bool) {
	return strings.CutPrefix(listen, "unix:")
}

// Addr returns the address of the last Start: "127.0.0.1:40123", or "unix:/path". It is empty before the first Start.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listen
}

// URL returns the base URL of the last Start: "http://127.0.0.1:40123", or "http+unix:///path".
func (s *Server) URL() string {
	addr := s.Addr()
	if path, unix := socketPath(addr); unix {
		return "http+unix://" + path
	}
	return "http://" + addr
}

// Stop ends the server cleanly: its port refuses at once, idle connections are closed, and requests may finish for
// Config.StopTimeout before they are cut. Requests that a fault holds are cut at once. Stop returns when all has ended.
// Caches and stored responses stay.
func (s *Server) Stop() {
	if l := s.current(); l != nil {
		l.stop(s.cfg.StopTimeout)
	}
}

// Kill ends the server as a dying engine does: its port refuses, and every connection is reset (a Unix socket is closed).
// Kill returns when all has ended. Caches and stored responses are lost.
func (s *Server) Kill() {
	if l := s.current(); l != nil {
		l.die()
		l.await()
	}
}

func (s *Server) current() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

// Forget empties the caches, the counters of Stats and the store of responses at once. Requests in flight continue.
func (s *Server) Forget() {
	s.memory.Store(&memory{began: float64(time.Now().UnixMicro()) / 1e6, ranks: engine.NewRanks(s.cfg.Ranks, s.cfg.engine(), s.bell.ring), store: newStore(), sleep: &sleep{}})
}

// Inject makes the server apply a fault from now on, in addition to those injected before. An unknown kind or a wrong argument is an
// error.
func (s *Server) Inject(f fault.Fault) error { return s.faults.Inject(f) }

// ClearFaults removes all injected faults, and releases the requests that a fault holds, those with the header X-Sim-Fault
// included.
func (s *Server) ClearFaults() { s.faults.Clear() }
