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

// server is the upstream of these tests. It reads HTTP from raw TCP in the strictest way, and keeps every byte that it receives.
type server struct {
	addr string
	// answer, if set, answers a request on its connection, and reports whether the connection stays open.
	answer func(c *peer, r *request) (goesOn bool)

	mu       sync.Mutex
	received []*request // guarded by mu: all requests but probes
	conns    int        // guarded by mu: connections that were opened
	begun    int        // guarded by mu: requests whose first byte has arrived, and whose answer is not sent
	changed  *sync.Cond // begun has changed
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
	s.changed = sync.NewCond(&s.mu)
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
	t.Cleanup(func() { // tether has closed its connections before this runs
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

// exchange reads a request and answers it, and reports whether the connection stays open.
func (s *server) exchange(c *peer, r *strictReader) (goesOn bool) {
	q := r.next()
	if s.isProbe(q) {
		return plain(c, `{"data":[]}`)
	}
	s.mu.Lock()
	s.received = append(s.received, q)
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
	s.changed.Broadcast()
}

// isProbe reports whether a request is tether's own. It compares every byte, so that no smuggled request passes for a probe.
func (s *server) isProbe(q *request) bool {
	const probe = "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tether\r\nAccept: */*\r\n\r\n"
	for _, path := range []string{"/health", "/is_sleeping", "/v1/models"} {
		if q.raw == fmt.Sprintf(probe, path, s.addr) {
			return true
		}
	}
	return false
}

// plain sends an answer whose framing is beyond doubt.
func plain(c net.Conn, body string) bool {
	_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return err == nil
}

// take returns the requests since the last take. It waits for the end of requests that have begun.
func (s *server) take() (received []*request) {
	end := time.Now().Add(patience)
	late := time.AfterFunc(patience, s.changed.Broadcast)
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.begun > 0 && time.Now().Before(end) {
		s.changed.Wait()
	}
	if s.begun > 0 {
		s.received = append(s.received, &request{wrong: errors.New("it does not end")})
	}
	received, s.received = s.received, nil
	return received
}

// patience bounds every wait of these tests. None is expected to take that long.
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

// send sends text in pieces of size bytes. It ignores errors: tether may refuse the request and close before it has read it all.
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

// pause is the time between two pieces. The peer mostly reads a piece within it, but no test depends on that.
const pause = 20 * time.Microsecond

// oneLine escapes the line ends of a text and shortens it, for printing.
func oneLine(s string) string {
	s = strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(s)
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}
