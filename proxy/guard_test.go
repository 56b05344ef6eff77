package proxy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/units"
	"tether/wire"
)

// What is refused before there is a request is answered in the form of all faults, once, and the connection is closed. What
// is refused stands in e2e/vectors.
func TestRefusals(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxHeader = 4 * units.KiB })
	head := "POST " + chatPath + " HTTP/1.1\r\nHost: a\r\n"
	for _, c := range []struct {
		raw    string
		status int
	}{
		{head + "X-A : b\r\n\r\n", 400},
		{head + "Trailer: Content-Length\r\n\r\n", 400}, // by fasthttp
		{head + "Transfer-Encoding: chunked\r\n\r\n5 \r\n", 400},
		{head + "Expect: something\r\n\r\n", 417},
		{head + "X-Big: " + strings.Repeat("x", 5000) + "\r\n\r\n", 431},
		{"POST " + chatPath + " HTTP/2.0\r\n", 505},
	} {
		conn := r.dial()
		conn.send(post(chatPath, chat("x")) + c.raw)
		if a := conn.receive(); a.StatusCode != 200 {
			t.Errorf("%.60q: the request before it got %d", c.raw, a.StatusCode)
		}
		text, err := conn.rest()
		if err != nil || !strings.HasPrefix(text, fmt.Sprintf("HTTP/1.1 %d ", c.status)) || strings.Count(text, "X-Tether-Affinity") != 1 {
			t.Errorf("%.60q: %.200q, %v", c.raw, text, err)
		}
		if !strings.Contains(text, `{"error":{"message":"`) || !strings.Contains(text, "Connection: close\r\n") {
			t.Errorf("%.60q: %s", c.raw, text)
		}
	}
}

func TestPaths(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.Expose = []string{"GET /version", "POST /custom/*", "POST /wake_up", "GET /v1/*"}
	})
	body := `{"model":"tiny"}`
	for i, c := range []struct {
		method, path string
		status       int    // 0: forwarded
		route        string // where the path is let through
	}{
		{"POST", chatPath + "?a=b", 0, chatPath},
		{"POST", "/v1/embeddings", 0, "/v1/embeddings"},
		{"POST", "/rerank", 0, "/rerank"},
		{"GET", "/v1/responses/resp_1", 0, "/v1/responses/{id}"},
		{"POST", "/v1/responses/resp_1/cancel", 0, "/v1/responses/{id}/cancel"},
		{"OPTIONS", chatPath, 0, "preflight"},
		{"OPTIONS", "/v1/responses/resp_1", 0, "preflight"},
		{"GET", "/version", 0, "exposed"},
		{"POST", "/custom/thing", 0, "exposed"},
		{"POST", "/wake_up", 0, "exposed"}, // named exactly it is the operator's choice
		{"GET", "/v1/other", 0, "exposed"},
		{"DELETE", chatPath, 405, ""},
		{"HEAD", "/v1/models", 405, ""},
		{"POST", "/v1/models", 405, ""},
		{"DELETE", "/v1/responses/resp_1", 405, ""},
		{"PUT", "/v1/responses/resp_1/cancel", 405, ""},
		{"GET", "/", 404, ""},
		{"GET", "/health", 404, ""},
		{"GET", "/metrics", 404, ""},
		{"GET", "/docs", 404, ""},
		{"POST", "/sleep", 404, ""},
		{"POST", "/collective_rpc", 404, ""},
		{"GET", "/v1/load_lora_adapter", 404, ""},   // never by a wildcard
		{"GET", "/v1/%6coad_lora_adapter", 404, ""}, // nor as a server would read it
		{"GET", "/v1/load%5Flora_adapter/", 404, ""},
		{"GET", "/v1/%zz", 404, ""},
		{"POST", "/v1/chat/completions/", 404, ""},
		{"POST", "/V1/chat/completions", 404, ""},
		{"POST", "/v1/chat/../chat/completions", 404, ""},
		{"POST", "/v1//chat/completions", 404, ""},
		{"POST", "/v1/chat%2fcompletions", 404, ""},
		{"POST", "/v1/chat%2Fcompletions", 404, ""},
		{"POST", "/custom/%2e%2e/sleep", 404, ""},
		{"POST", "/custom/..%2fsleep", 404, ""},
		{"POST", `/custom/\sleep`, 404, ""},
		{"POST", "/custom/%5csleep", 404, ""},
		{"POST", "/custom/./sleep", 404, ""},
		{"POST", "/./custom/thing", 404, ""},
		{"POST", "/custom/.", 404, ""},
		{"POST", "/custom/.well-known", 0, "exposed"},
		{"POST", "/v1/responses/", 404, ""},
		{"GET", "/v1/responses/a.b:c~d", 0, "/v1/responses/{id}"},
		{"GET", "/v1/responses/.", 404, ""},
		{"POST", "/v1/responses/a/b", 404, ""},
		{"POST", "/v1/responses/a%20b/cancel", 404, ""},
		{"OPTIONS", "/sleep", 404, ""},
		{"OPTIONS", "*", 404, ""},
	} {
		before := count(r.sims)
		conn := r.dial()
		conn.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%s", c.method, c.path, len(body), body))
		status := ""
		if _, err := fmt.Fscanf(conn.r, "HTTP/1.1 %s", &status); err != nil {
			t.Fatalf("%s %s: %v", c.method, c.path, err)
		}
		forwarded, rec := count(r.sims) > before, r.recorded(i+1)
		if forwarded != (c.status == 0) || c.status != 0 && status != fmt.Sprint(c.status) {
			t.Errorf("%s %s: status %s, forwarded %v", c.method, c.path, status, forwarded)
		}
		if rec.Route != c.route {
			t.Errorf("%s %s: recorded as %q", c.method, c.path, rec.Route)
		}
	}
	a := r.do("PUT", chatPath, "")
	if a.Header.Get("Allow") != "POST" || !strings.Contains(a.body, `"type":"invalid_request_error","param":null,"code":405`) {
		t.Errorf("Allow %q\n%s", a.Header.Get("Allow"), a.body)
	}
}

// Refusals carry the id that the client sent, and have the form that its API's clients read.
func TestRefusalsCarryTheID(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxBody = units.KiB })
	large := chat(strings.Repeat("x", 2000))
	for _, a := range []*answer{
		r.do("GET", "/nothing", "", sid),
		r.do("GET", chatPath, "", sid),
		r.do("POST", chatPath, large, sid),
		r.do("POST", "/v1/messages", large, sid),
	} {
		if a.Header.Get("X-Session-Id") != "s-1" || a.outcome() != "none" || a.Header.Get("X-Request-Id") == "" || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d: %v", a.StatusCode, a.Header)
		}
	}
	a := r.do("POST", "/v1/messages", large)
	if a.StatusCode != 413 || !strings.HasPrefix(a.body, `{"type":"error","error":{"type":"request_too_large","message":"`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestMaxInFlight(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxInFlight = 2 })
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	first := r.dial()
	first.send(post(chatPath, chat("x")))
	second := r.dial()
	second.send(post(chatPath, chat("y")))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 2 })
	a := r.chat("z")
	r.want(a, 503, "none")
	if a.Header.Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
	r.sims[0].ClearFaults()
	if first.receive().StatusCode != 200 || second.receive().StatusCode != 200 {
		t.Error("requests within the limit failed")
	}
	r.recorded(3)
	r.want(r.chat("z"), 200, "new")
}

// Requests that are worked on keep their connections; who comes then is told so, whatever he sends meanwhile.
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
	select { // it was heard of before it was answered
	case got := <-refused:
		if got != "503 connections" {
			t.Errorf("heard of as %s", got)
		}
	default:
		t.Error("not heard of")
	}
	r.sims[0].ClearFaults()
	for _, c := range working {
		if a := c.receive(); a.StatusCode != 200 {
			t.Error("a connection within the limit was closed")
		}
	}
}

// Connections without a whole request make room for others: those of the address that has the most of them first, then those
// that wait longest. So one address keeps nobody out, whatever it does not send.
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
					t.Errorf("%d are said to have made room", got)
				}
			}
			served(modest)
			if name == "kept" {
				served(greedy[2])
			}
		})
	}
}

// waiting is how many connections have no whole request.
func (r *rig) waiting() (n int) {
	r.proxy.clients.each(func(c *client) {
		if c.waitingSince.Load() != 0 {
			n++
		}
	})
	return n
}

// await waits until there are n of what.
func (r *rig) await(n int, what string, now func() int) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); now() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d %s, want %d", now(), what, n)
		}
	}
}

// An address has its part of the connections, and nobody else's is less for it. Trusted proxies bring many clients over
// theirs: they may have more.
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
			t.Errorf("heard of as %s", got)
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

func TestMaxHeaders(t *testing.T) {
	refused := make(chan string, 1)
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.MaxHeaders = 10
		r.onRefuse = func(status int, reason string) { refused <- fmt.Sprint(status, " ", reason) }
	})
	body := chat("x")
	request := func(fields int) string {
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", chatPath, len(body))
		return head + strings.Repeat("X: y\r\n", fields-3) + "\r\n" + body
	}
	c := r.dial()
	c.send(request(10) + request(10))
	for range 2 { // each request has as many
		if a := c.receive(); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	c = r.dial()
	c.send(request(11))
	if a := c.receive(); a.StatusCode != 431 || !a.Close || count(r.sims) != 2 {
		t.Errorf("%d, close %v, %d requests upstream", a.StatusCode, a.Close, count(r.sims))
	}
	if got := <-refused; got != "431 too_many_headers" {
		t.Errorf("heard of as %s", got)
	}
}

// The time for a head counts from its first byte, whatever the connection did before.
func TestSlowHead(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a head may")
	}
	t.Parallel()
	refused := make(chan string, 3)
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.onRefuse = func(_ int, reason string) { refused <- reason } })
	var slow sync.WaitGroup
	for name, idle := range map[string]time.Duration{"fresh": 0, "idle": time.Second, "used": time.Second} {
		c := r.dial()
		if name == "used" {
			c.send(post(chatPath, chat("x"), sid))
			c.receive()
		}
		slow.Go(func() {
			<-time.After(idle) // it is the time that is tested
			started := time.Now()
			c.send("POST " + chatPath + " HTTP/1.1\r\nHo")
			text, err := c.rest()
			if took := time.Since(started); took < headTime || took > headTime+3*time.Second {
				t.Errorf("%s: after %v", name, took)
			}
			if err != nil || !strings.HasPrefix(text, "HTTP/1.1 408 ") || !strings.Contains(text, "Connection: close") {
				t.Errorf("%s: %v %q", name, err, text)
			}
		})
	}
	slow.Wait()
	for range 3 {
		if reason := <-refused; reason != "slow_head" {
			t.Errorf("heard of as %s", reason)
		}
	}
}

func TestIdleConnectionClosesSilently(t *testing.T) {
	t.Parallel()
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.ClientIdleTimeout = time.Second })
	fresh, used := r.dial(), r.dial()
	used.send(post(chatPath, chat("x"), sid))
	if a := used.receive(); a.StatusCode != 200 {
		t.Fatal(a.StatusCode)
	}
	for _, c := range []*rawConn{fresh, used} {
		if text, err := c.rest(); err != nil || text != "" {
			t.Errorf("%v %q", err, text)
		}
	}
	if n := r.proxy.IdleClosed(); n != 2 {
		t.Errorf("%d are said to have been closed", n)
	}
}

// Requests that come before the first verdicts wait for them.
func TestRequestsAwaitTheFirstVerdicts(t *testing.T) {
	verdicts := make(chan struct{})
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.verdicts = verdicts })
	early := r.dial()
	early.send(post(chatPath, chat("x"), sid))
	gone := r.dial()
	gone.send(post(chatPath, chat("x"), sid))
	for r.proxy.InFlight() != 2 {
		time.Sleep(time.Millisecond)
	}
	gone.Close()
	if rec := r.recorded(1); rec.Status != 499 {
		t.Errorf("who left while waiting got %d", rec.Status)
	}
	if count(r.sims) != 0 {
		t.Error("forwarded before the verdicts")
	}
	close(verdicts)
	if a := early.receive(); a.StatusCode != 200 {
		t.Error(a.StatusCode)
	}
}
