package traffic

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"tether/tlsfiles/tlstest"
)

func world(t *testing.T) (*Upstreams, *Clients) {
	t.Helper()
	before := runtime.GOMAXPROCS(runtime.NumCPU() + 3)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	u, err := StartUpstreams(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Stop)
	c, err := NewClients()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return u, c
}

// measure runs a plan, directly against an upstream unless it has an address, until enough units were counted.
func measure(t *testing.T, u *Upstreams, c *Clients, a Answer, p Plan, enough func(Counts) bool) Counts {
	t.Helper()
	u.Set(a)
	if p.Addr == "" {
		p.Addr = u.Addrs[1]
	}
	l, err := c.Start(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var all Counts
	for deadline := time.Now().Add(20 * time.Second); !enough(all); time.Sleep(10 * time.Millisecond) {
		n := l.Counts()
		all.Requests += n.Requests
		all.Events += n.Events
		all.Latencies = append(all.Latencies, n.Latencies...)
		all.FirstBytes = append(all.FirstBytes, n.FirstBytes...)
		all.Delays = append(all.Delays, n.Delays...)
		if err := n.Err(); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d requests and %d events in time", all.Requests, all.Events)
		}
	}
	if _, err := u.Skipped(); err != nil {
		t.Error(err)
	}
	return all
}

// checkTimes checks that times are positive and plausible.
func checkTimes(t *testing.T, name string, times []int64, n int) {
	t.Helper()
	if len(times) != n {
		t.Errorf("%d %s, want %d", len(times), name, n)
	}
	if least, most := Quantile(times, 0), Quantile(times, 1); n > 0 && (least <= 0 || most > 20*time.Second) {
		t.Errorf("the %s are %v..%v", name, least, most)
	}
}

func TestRequests(t *testing.T) {
	u, c := world(t)
	for _, body := range []int{2 << 10, 256 << 10} {
		n := measure(t, u, c, Answer{Size: 1024}, Plan{Clients: 8, Sessions: 5, Body: body, Size: 1024},
			func(n Counts) bool { return n.Requests >= 200 })
		checkTimes(t, "latencies", n.Latencies, n.Requests)
	}
}

func TestRequestsAtARate(t *testing.T) {
	u, c := world(t)
	began := time.Now()
	n := measure(t, u, c, Answer{Size: 1024}, Plan{Clients: 4, Sessions: 4, Body: 2048, Size: 1024, Every: 5 * time.Millisecond},
		func(n Counts) bool { return n.Requests >= 40 })
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("%d requests, 5 ms apart, took only %v", n.Requests, took)
	}
}

func TestOneRequestEach(t *testing.T) {
	u, c := world(t)
	n := measure(t, u, c, Answer{Size: 1024}, Plan{Clients: 50, Sessions: 4, Body: 2048, Size: 1024, Once: true},
		func(n Counts) bool { return n.Requests > 0 })
	if n.Requests != 50 {
		t.Errorf("%d requests of 50 clients", n.Requests)
	}
}

func TestEndlessStreams(t *testing.T) {
	u, c := world(t)
	n := measure(t, u, c, Answer{Gap: 5 * time.Millisecond}, Plan{Clients: 40, Sessions: 40, Body: 2048, Events: true, Endless: true},
		func(n Counts) bool { return n.Events >= 1000 })
	checkTimes(t, "delays", n.Delays, n.Events)
	checkTimes(t, "times to the first byte", n.FirstBytes, 40)
}

func TestShortStreams(t *testing.T) {
	u, c := world(t)
	n := measure(t, u, c, Answer{Gap: time.Millisecond, Events: 10},
		Plan{Clients: 10, Sessions: 10, Body: 2048, Size: 10 * EventSize, Events: true}, func(n Counts) bool { return n.Requests >= 100 })
	if n.Events < 10*n.Requests {
		t.Errorf("%d events in %d streams of 10", n.Events, n.Requests)
	}
}

// Reset must not count what was before it.
func TestReset(t *testing.T) {
	u, c := world(t)
	u.Set(Answer{Size: 1024})
	l, err := c.Start(context.Background(), Plan{Addr: u.Addrs[0], Clients: 3, Sessions: 3, Body: 2048, Size: 1024, Once: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Reset()
	if n := l.Counts(); n.Requests != 0 || len(n.Latencies) != 0 {
		t.Errorf("%d requests after Reset", n.Requests)
	}
}

// A response of the wrong size, and a server that hangs up, are failures.
func TestFailures(t *testing.T) {
	u, c := world(t)
	u.Set(Answer{Size: 1024})
	if _, err := c.Start(context.Background(), Plan{Addr: u.Addrs[0], Clients: 2, Sessions: 1, Size: 1000}); err == nil {
		t.Error("a response of the wrong size is no failure")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	if _, err := c.Start(context.Background(), Plan{Addr: l.Addr().String(), Clients: 2, Sessions: 1}); err == nil {
		t.Error("a server that hangs up is no failure")
	}
}

func TestStartEndsWithContext(t *testing.T) {
	_, c := world(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Start(ctx, Plan{Addr: l.Addr().String(), Clients: 2, Sessions: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Over TLS, requests and streams are what they are without.
func TestTLS(t *testing.T) {
	u, c := world(t)
	for _, p := range []struct {
		answer Answer
		plan   Plan
	}{
		{Answer{Size: 40000}, Plan{Clients: 4, Sessions: 4, Body: 100 << 10, Size: 40000}},
		{Answer{Gap: time.Millisecond}, Plan{Clients: 20, Sessions: 4, Body: 2048, Events: true, Endless: true}},
	} {
		p.plan.TLS, p.plan.Addr = true, frontWithTLS(t, u.Addrs[0])
		n := measure(t, u, c, p.answer, p.plan, func(n Counts) bool { return n.Requests > 40 || n.Events > 500 })
		checkTimes(t, "times to the first byte", n.FirstBytes, len(n.FirstBytes))
	}
	if _, err := c.Start(context.Background(), Plan{Addr: u.Addrs[0], Clients: 2, Sessions: 1, TLS: true}); err == nil {
		t.Error("a server without TLS is no failure")
	}
}

// frontWithTLS returns the address of a server with TLS that passes everything on to an upstream.
func frontWithTLS(t *testing.T, upstream string) string {
	t.Helper()
	pair := tlstest.NewAuthority(t).Issue(time.Hour, "localhost").Load(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				client.Close()
				return
			}
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() { _, _ = io.Copy(client, server); client.Close() }()
		}
	}()
	return l.Addr().String()
}
