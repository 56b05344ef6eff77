package endurance

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tether/e2e/binary"
	"tether/sim"
)

// Without free descriptors, tether serves the clients that are connected. It accepts the others as soon as a client leaves. It does
// not exit.
func TestDescriptorsRunOut(t *testing.T) {
	s := sim.New(sim.Config{})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	p := &side{t: t, proxy: binary.Run(t, []string{s.URL()})}
	p.address = p.proxy.URL[len("http://"):]
	known := p.connect()
	known.wants(200)
	const spare = 10
	p.mayOpen(p.descriptors() + spare)
	var all []*client
	for range 3 * spare { // the kernel accepts connections that tether cannot accept yet
		all = append(all, p.connect())
	}
	for deadline := time.Now().Add(lateness); p.descriptors() < p.limit().Cur; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, and tether opens no more", p.descriptors())
		}
	}
	known.wants(200, 503) // 200 on the pooled connection to the server, if that is still open
	waiting := p.connect()
	waiting.ask()
	for _, c := range all {
		c.Close()
	}
	waiting.answered(200)
	p.connect().wants(200)
	if p.metric("tether_accept_failures_total") == 0 {
		t.Error("no metric counts it")
	}
}

func (s *side) descriptors() uint64 {
	s.t.Helper()
	list, err := os.ReadDir(s.proc("fd"))
	if err != nil {
		s.t.Fatal(err)
	}
	return uint64(len(list))
}

func (s *side) limit() (limit unix.Rlimit) {
	s.t.Helper()
	if err := unix.Prlimit(s.proxy.PID, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		s.t.Fatal(err)
	}
	return limit
}

// mayOpen sets how many descriptors the process may have.
func (s *side) mayOpen(n uint64) {
	s.t.Helper()
	limit := s.limit()
	limit.Cur = n
	if err := unix.Prlimit(s.proxy.PID, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		s.t.Fatal(err)
	}
}

// client is a connection to tether.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (s *side) connect() *client {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * lateness))
	return &client{t: s.t, Conn: c, r: bufio.NewReader(c)}
}

func (c *client) ask() {
	const body = `{"model":"tiny","messages":[{"role":"user","content":"hello"}]}`
	fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", chatHead, len(body), body)
}

// answered reads an answer. It fails the test unless the answer has one of the statuses.
func (c *client) answered(statuses ...int) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res.Body.Close()
	for _, status := range statuses {
		if res.StatusCode == status {
			return
		}
	}
	c.t.Errorf("%d, want one of %d", res.StatusCode, statuses)
}

// wants sends a request, which must be answered with one of the statuses.
func (c *client) wants(statuses ...int) {
	c.t.Helper()
	c.ask()
	c.answered(statuses...)
}
