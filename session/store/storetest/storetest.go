// Package storetest runs real Redis and Valkey servers for tests, and cuts connections to them. storetest.go is tested by these tests.
package storetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tether/wire/wiretest"
)

// patience bounds the wait for a server.
const patience = 20 * time.Second

// Programs returns the servers that are installed: the one that VALKEY_SERVER names, redis-server and valkey-server. Without any it
// skips the test, unless CI is set.
func Programs(t testing.TB) (all []string) {
	t.Helper()
	for _, name := range []string{os.Getenv("VALKEY_SERVER"), "redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil && !slices.Contains(all, path) {
			all = append(all, path)
		}
	}
	if len(all) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("neither redis-server nor valkey-server is installed")
		}
		t.Skip("neither redis-server nor valkey-server is installed")
	}
	return all
}

// Server is a server that runs until the test ends.
type Server struct {
	Addr    string
	program string
	args    []string
	cmd     *exec.Cmd
	log     strings.Builder
}

// Start starts a server on a free port of loopback, without persistence. args are further arguments.
func Start(t testing.TB, program string, args ...string) *Server {
	t.Helper()
	return StartAt(t, wiretest.FreeAddr(t), program, args...)
}

// StartAt is Start with an address.
func StartAt(t testing.TB, addr, program string, args ...string) *Server {
	t.Helper()
	_, port, _ := net.SplitHostPort(addr)
	s := &Server{Addr: addr, program: program}
	s.args = append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, args...)
	t.Cleanup(s.Kill)
	s.Run(t)
	return s
}

// Sentinel starts a sentinel that calls a server mymaster, and takes another one half a second after it has died. lines
// are further lines of its configuration.
func Sentinel(t testing.TB, master *Server, lines ...string) *Server {
	t.Helper()
	s := &Server{Addr: wiretest.FreeAddr(t), program: master.program}
	_, port, _ := net.SplitHostPort(s.Addr)
	_, masterPort, _ := net.SplitHostPort(master.Addr)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor mymaster 127.0.0.1 %s 1\n", port, t.TempDir(), masterPort) +
		"sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil { // the sentinel writes the file too
		t.Fatal(err)
	}
	s.args = []string{file, "--sentinel"}
	t.Cleanup(s.Kill)
	s.Run(t)
	return s
}

// AwaitReplica waits until the sentinel knows a replica of mymaster. password is the sentinel's, "" for none.
func (s *Server) AwaitReplica(t testing.TB, password string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var answer string
		if password != "" {
			answer = s.DoAs(t, password, "SENTINEL", "MASTER", "mymaster")
		} else {
			answer = s.Do(t, "SENTINEL", "MASTER", "mymaster")
		}
		if strings.Contains(answer, "num-slaves\r\n$1\r\n1") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sentinel knows no replica: %s", answer)
		}
	}
}

// Run starts the server again, which has ended. It is empty.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(s.program, s.args...)
	s.cmd.Stdout = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v\n%s", s.program, err, &s.log)
		}
	}
}

// Kill kills the server, if it runs.
func (s *Server) Kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it was killed
	}
}

// Stop stops the server, which keeps its connections. Continue ends that.
func (s *Server) Stop() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Continue ends Stop.
func (s *Server) Continue() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Do sends a command, and returns the answer as the server writes it.
func (s *Server) Do(t testing.TB, words ...string) string {
	t.Helper()
	answer, err := do(s.Addr, words)
	if err != nil {
		t.Fatalf("%s: %v", words[0], err)
	}
	return answer
}

// DoAs is Do with a password.
func (s *Server) DoAs(t testing.TB, password string, words ...string) string {
	t.Helper()
	answer, err := do(s.Addr, []string{"AUTH", password}, words)
	if err != nil {
		t.Fatalf("%s: %v", words[0], err)
	}
	return answer
}

// do sends commands, and returns the answers.
func do(addr string, commands ...[]string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var b strings.Builder
	for _, words := range commands {
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	answer := ""
	for range commands {
		if answer, err = reply(r); err != nil {
			return "", err
		}
	}
	return answer, nil
}

// reply reads a reply of the protocol RESP2.
func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch {
	case line[0] == '$' && n >= 0:
		text := make([]byte, n+2)
		_, err = io.ReadFull(r, text)
		line += string(text)
	case line[0] == '*':
		for range max(0, n) {
			one, err := reply(r)
			if err != nil {
				return "", err
			}
			line += one
		}
	}
	return line, err
}

// Relay passes connections on to a server, until it is cut.
type Relay struct {
	Addr   string
	target string

	mu    sync.Mutex
	cut   bool       // guarded by mu
	conns []net.Conn // guarded by mu
}

// NewRelay returns a relay to a server.
func NewRelay(t testing.TB, target string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: l.Addr().String(), target: target}
	t.Cleanup(func() {
		_ = l.Close()
		r.Close()
	})
	go r.accept(l)
	return r
}

func (r *Relay) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", r.target)
		if err != nil {
			_ = conn.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, conn, to)
		r.mu.Unlock()
		go r.pass(conn, to)
		go r.pass(to, conn)
	}
}

// pass passes bytes on. While the relay is cut it drops them, as a network does that loses everything.
func (r *Relay) pass(from, to net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !r.isCut() {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

func (r *Relay) isCut() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

// Cut loses all bytes from now on, in both directions.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
}

// Heal ends Cut, and the connections of that time.
func (r *Relay) Heal() {
	r.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

// Close closes all connections.
func (r *Relay) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}
