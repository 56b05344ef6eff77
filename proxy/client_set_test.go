package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/wire"
)

// Requests in flight keep their connections. A further client is told that there are too many, whatever it sends.
func TestMaxConnections(t *testing.T) {
	refused := make(chan string, 1)
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.MaxConnections = 2
		r.onRefuse = func(status int, reason string) { refused <- fmt.Sprint(status, " ", reason) }
	})
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	var working []*rawConn
	for range 2 {
		c := r.dial()
		c.send(post(chatPath, chat("x"), sid))
		working = append(working, c)
	}
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 2 })
	c := r.dial()
	c.send(post(chatPath, chat(strings.Repeat("x", 100_000)), sid))
	text, err := c.rest()
	if !strings.HasPrefix(text, "HTTP/1.1 503 ") || !strings.Contains(text, "Retry-After: 1") || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	select { // OnRefused is called before the answer
	case got := <-refused:
		if got != "503 connections" {
			t.Errorf("OnRefused was told %s", got)
		}
	default:
		t.Error("OnRefused was not called")
	}
	r.sims[0].ClearFaults()
	for _, c := range working {
		if a := c.receive(); a.StatusCode != 200 {
			t.Error("a connection within the limit was closed")
		}
	}
}

// Connections without a whole request are closed in favour of others: first those of the address that has the most, then those
// that have waited longest. So no address keeps others out by silent connections.
func TestConnectionsMakeRoom(t *testing.T) {
	for name, some := range map[string]string{
		"silent":     "",
		"in a head":  "POST ",
		"in a body":  "POST " + chatPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{",
		"in a chunk": "POST " + chatPath + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
		"kept":       post(chatPath, chat("x"), sid),
	} {
		t.Run(name, func(t *testing.T) {
			const most = 5
			r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxConnections, r.cfg.MaxInFlight = most, 2 })
			served := func(c *rawConn) {
				t.Helper()
				c.send(post(chatPath, chat("x"), sid))
				if a := c.receive(); a.StatusCode != 200 {
					t.Errorf("%d from %v", a.StatusCode, c.LocalAddr())
				}
			}
			modest := r.dialFrom("127.0.0.2")
			served(modest)
			var greedy []*rawConn
			for n := range most - 1 {
				c := r.dialFrom("127.0.0.3")
				c.send(some)
				if name == "kept" {
					c.receive()
				}
				greedy = append(greedy, c)
				r.await(n+2, "connections without a request", r.waiting)
			}
			for n := range 2 {
				c := r.dialFrom(fmt.Sprint("127.0.0.", 4+n))
				served(c)
				if text, err := greedy[n].rest(); text != "" || wire.IsTimeout(err) {
					t.Errorf("it went with %q, %v", text, err)
				}
				if got := r.proxy.Displaced(); got != int64(n+1) {
					t.Errorf("%d are counted as displaced", got)
				}
			}
			served(modest)
			if name == "kept" {
				served(greedy[2])
			}
		})
	}
}

// A new connection, whose first request is under way, stays when a kept one can be closed.
func TestNewConnectionsStay(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxConnections = 2 })
	began := time.Now()
	silent := r.dialFrom("127.0.0.2")
	r.await(1, "connections", r.proxy.Connections)
	kept := r.dialFrom("127.0.0.3")
	kept.send(post(chatPath, chat("x"), sid))
	kept.receive()
	r.await(2, "connections without a request", r.waiting)
	another := r.dialFrom("127.0.0.4")
	another.send(post(chatPath, chat("x"), sid))
	another.receive()
	if time.Since(began) >= firstRequestTime {
		t.Skip("this host is too slow: the silent connection is not new any more")
	}
	silent.send(post(chatPath, chat("x"), sid))
	if a, err := silent.answered(); err != nil || a.StatusCode != 200 {
		t.Errorf("%d, %v", a.StatusCode, err)
	}
}

// waiting is the number of connections without a whole request.
func (r *rig) waiting() (n int) {
	r.proxy.clients.each(func(c *client) {
		if c.waitingSince.Load() != 0 {
			n++
		}
	})
	return n
}

// await waits until now gives n.
func (r *rig) await(n int, what string, now func() int) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); now() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d %s, want %d", now(), what, n)
		}
	}
}

// An address has its limit of connections, and other addresses have theirs. Trusted proxies carry many clients and
// may have more.
func TestMaxConnectionsPerAddress(t *testing.T) {
	refused := make(chan string, 1)
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.MaxConnectionsPerAddress = 2
		r.cfg.TrustedProxies = []string{"127.0.0.4"}
		r.onRefuse = func(status int, reason string) { refused <- fmt.Sprint(status, " ", reason) }
	})
	served := func(c *rawConn) {
		t.Helper()
		c.send(post(chatPath, chat("x"), sid))
		if a := c.receive(); a.StatusCode != 200 {
			t.Errorf("%d from %v", a.StatusCode, c.LocalAddr())
		}
	}
	var kept []*rawConn
	for range 2 {
		c := r.dialFrom("127.0.0.2")
		served(c)
		kept = append(kept, c)
	}
	for range 3 {
		c := r.dialFrom("127.0.0.2")
		text, _ := c.rest()
		if !strings.HasPrefix(text, "HTTP/1.1 429 ") || !strings.Contains(text, "Retry-After: 1") || !strings.Contains(text, `"type":"rate_limit_error"`) {
			t.Errorf("%q", text)
		}
		if got := <-refused; got != "429 address_connections" {
			t.Errorf("OnRefused was told %s", got)
		}
	}
	served(r.dialFrom("127.0.0.3"))
	for range 5 {
		served(r.dialFrom("127.0.0.4"))
	}
	served(kept[0])
	kept[1].Close()
	r.await(7, "connections", r.proxy.Connections) // its goroutine has ended
	served(r.dialFrom("127.0.0.2"))
}
