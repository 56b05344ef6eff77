package proxy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/sim"
	"tether/units"
)

// A head that is refused gets one answer, in the form of all faults, and the connection is closed. e2e/vectors lists what is
// refused.
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
		t.Errorf("OnRefused was told %s", got)
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
			t.Errorf("OnRefused was told %s", reason)
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
		t.Errorf("%d are counted as closed", n)
	}
}

// A refusal also reaches a client that keeps sending: it can send everything, and then reads the refusal.
func TestRefusalsReachClientsThatKeepSending(t *testing.T) {
	const more = 4 << 20
	refused := make(chan int, 2)
	r := fleet(t, 1, sim.Config{}, func(r *rig) {
		r.cfg.MaxBody, r.cfg.MaxHeader = units.MiB, 4*units.KiB
		r.onRefuse = func(status int, _ string) { refused <- status }
	})
	head := "POST " + chatPath + " HTTP/1.1\r\nHost: a\r\n"
	for want, begin := range map[int]string{
		413: head + fmt.Sprintf("Content-Length: %d\r\n\r\n", more),
		431: head + "X-Large: " + strings.Repeat("x", 5000),
	} {
		c := r.dial()
		c.send(begin)
		if want == 413 {
			refused <- r.recorded(1).Status // there is a request
		}
		if got := <-refused; got != want {
			t.Fatalf("refused with %d, want %d", got, want)
		}
		part := strings.Repeat("x", 64<<10)
		for range more / len(part) {
			c.send(part)
		}
		if a := c.receive(); a.StatusCode != want || !a.Close || a.err != nil {
			t.Errorf("%d, close %v, %v", a.StatusCode, a.Close, a.err)
		}
	}
}
