package vectors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is the upstream of these tests: it speaks HTTP over raw TCP by the strictest reading, and keeps every byte that
// it was sent.
type server struct {
	addr string
	// answer, if set, answers a request on its connection, and reports whether the connection goes on.
	answer func(c *peer, r *request) (goesOn bool)

	mu    sync.Mutex
	heard []*request // guarded by mu: all that came, but for probes
	conns int        // guarded by mu: how many were opened
	begun int        // guarded by mu: requests whose first byte has come, and whose answer is not sent
	ended *sync.Cond // one of them is
}

// peer is a connection to the server, numbered from 1.
type peer struct {
	*net.TCPConn
	number int
}

func newServer(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String()}
	s.ended = sync.NewCond(&s.mu)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			p := &peer{conn.(*net.TCPConn), s.conns}
			s.mu.Unlock()
			all.Go(func() { s.serve(p) })
		}
	})
	t.Cleanup(func() { // by now tether has closed its connections
		l.Close()
		all.Wait()
	})
	return s
}

func (s *server) serve(c *peer) {
	defer c.Close()
	for r := (strictReader{from: bufio.NewReader(c)}); ; {
		if _, err := r.from.Peek(1); err != nil {
			return
		}
		s.begin(1)
		goesOn := s.exchange(c, &r)
		s.begin(-1)
		if !goesOn {
			return
		}
	}
}

// exchange reads a request and answers it, and reports whether the connection goes on.
func (s *server) exchange(c *peer, r *strictReader) (goesOn bool) {
	q := r.next()
	if s.isProbe(q) {
		return plain(c, `{"data":[]}`)
	}
	s.mu.Lock()
	s.heard = append(s.heard, q)
	s.mu.Unlock()
	switch {
	case q.wrong != nil:
		return false
	case s.answer != nil:
		return s.answer(c, q)
	}
	return plain(c, q.path)
}

func (s *server) begin(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun += n
	s.ended.Broadcast()
}

// isProbe tells tether's own requests by all that is in them, so that a smuggled one is none.
func (s *server) isProbe(q *request) bool {
	const probe = "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tether\r\nAccept: */*\r\n\r\n"
	return q.raw == fmt.Sprintf(probe, "/health", s.addr) || q.raw == fmt.Sprintf(probe, "/v1/models", s.addr)
}

// plain sends an answer that nobody can misread.
func plain(c net.Conn, body string) bool {
	_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return err == nil
}

// take gives what was heard since the last time. A request that has begun is waited for.
func (s *server) take() (heard []*request) {
	end := time.Now().Add(patience)
	late := time.AfterFunc(patience, s.ended.Broadcast)
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.begun > 0 && time.Now().Before(end) {
		s.ended.Wait()
	}
	if s.begun > 0 {
		s.heard = append(s.heard, &request{wrong: errors.New("it does not end")})
	}
	heard, s.heard = s.heard, nil
	return heard
}

// patience bounds every wait of these tests; none is expected to take it.
const patience = 20 * time.Second

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// send sends text in pieces of size bytes. Who refuses may close before it has it all, so errors say nothing.
func send(c net.Conn, text string, size int) {
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := io.WriteString(c, text[:n]); err != nil {
			return
		}
		text = text[n:]
		for sent := time.Now(); time.Since(sent) < pause; { // a sleep takes fifty times as long
		}
	}
}

// pause lets the other side read a piece before the next one comes, mostly. Nothing depends on it.
const pause = 20 * time.Microsecond

// oneLine shortens what is printed of bytes.
func oneLine(s string) string {
	s = strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(s)
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}
