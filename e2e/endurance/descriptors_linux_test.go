package endurance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
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

// With few descriptors, clients that keep idle connections cost the other clients no request and operators no connection. Each client
// sends a request and keeps its connection, then 90 of them send another one, ten at a time.
func TestFewDescriptors(t *testing.T) {
	const limit, clients, others, atOnce = 100, 120, 90, 10
	var urls []string
	for range 4 {
		s := sim.New(sim.Config{})
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		urls = append(urls, s.URL())
	}
	s := &side{t: t, proxy: binary.RunWithin(t, limit, urls)}
	for range clients {
		s.clients = append(s.clients, &http.Client{Timeout: lateness, Transport: &http.Transport{}})
	}
	t.Cleanup(s.close)
	operators := s.watchReadiness()
	kept := s.askEach(0, clients, atOnce)
	t.Logf("%d clients that keep their connections: %v, %d descriptors of %d", clients, kept, s.descriptors(), limit)
	later := s.askEach(clients-others, clients, atOnce)
	ready, failed := operators()
	t.Logf("%d requests of others: %v; operators: %d answered, %d not", others, later, ready, failed)
	if kept[200] != clients || later[200] != others || failed != 0 || ready == 0 {
		t.Error("not every request was answered with 200")
	}
	if n := strings.Count(s.proxy.Log(), "descriptors allow fewer client connections"); n != 1 {
		t.Errorf("%d lines about it in the log", n)
	}
}

// watchReadiness asks the admin listener again and again, each time on a new connection, until the returned function is called. That function returns how
// often tether answered that it is ready, and how often not.
func (s *side) watchReadiness() func() (ready, failed int) {
	operator := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	stop := make(chan struct{})
	var ready, failed int
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			if res, err := operator.Get(s.proxy.Admin + "/readyz"); err == nil && res.StatusCode == 200 {
				res.Body.Close()
				ready++
			} else {
				failed++
			}
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond): // the pace of the operator
			}
		}
	})
	return func() (int, int) {
		close(stop)
		asking.Wait()
		return ready, failed
	}
}

// askEach lets the clients from..to-1 send one request each, atOnce at a time. It returns how many were answered with each status;
// status 0 is no answer.
func (s *side) askEach(from, to, atOnce int) map[int]int {
	s.t.Helper()
	var mu sync.Mutex
	statuses := map[int]int{}
	next := make(chan *http.Client)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for c := range next {
				status := askKept(c, s.proxy.URL)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	for _, c := range s.clients[from:to] {
		next <- c
	}
	close(next)
	all.Wait()
	return statuses
}

// askKept sends a request and returns the status of its answer. The client keeps the connection. If tether closed it, the client opens
// another one, as the SDKs do: the key tells Go's client that it may.
func askKept(c *http.Client, url string) (status int) {
	req, err := http.NewRequest("POST", url+"/v1/chat/completions", strings.NewReader(`{"model":"tiny","messages":[{"role":"user","content":"hello"}]}`))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "1")
	res, err := c.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // else the connection is not kept
	return res.StatusCode
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
