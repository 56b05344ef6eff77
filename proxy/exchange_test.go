package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tether/sim"
	"tether/units"
)

// Every answer tells an HTTP/1.0 client that the connection stays open.
func TestHTTP10IsToldOfKeepAlive(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	c := r.dial()
	for _, path := range []string{"/v1/models", "/nothing"} {
		c.send("GET " + path + " HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
		if a := c.receive(); a.Header.Get("Connection") != "keep-alive" {
			t.Errorf("%s: Connection %q, and the connection stays open", path, a.Header.Get("Connection"))
		}
	}
}

// The time for a body grows with the bytes that have arrived, not with those that were promised.
func TestPromisedBytesBuyNoTime(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a limit")
	}
	t.Parallel()
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxInFlight = 20 })
	const head = "POST " + chatPath + " HTTP/1.1\r\nHost: a\r\n"
	slow := make(chan *answer)
	started := time.Now()
	for i := range r.cfg.MaxInFlight {
		c := r.dial()
		_ = c.SetDeadline(started.Add(3 * bodyTime))
		switch i {
		case 0:
			c.send(head + "Content-Length: 67108864\r\n\r\n" + strings.Repeat("x", 2*int(r.cfg.MinBodyRate)))
		case 1:
			c.send(head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
		default:
			c.send(head + "Content-Length: 67108864\r\n\r\n{")
		}
		go func() {
			a, err := c.answered()
			if err != nil {
				t.Error(err)
			}
			slow <- a
		}()
	}
	for range r.cfg.MaxInFlight {
		if a := <-slow; a.StatusCode != 408 || !a.Close {
			t.Errorf("%d, close %v", a.StatusCode, a.Close)
		}
	}
	for n := range r.cfg.MaxInFlight {
		rec, want := r.recorded(n+1), bodyTime
		if n == r.cfg.MaxInFlight-1 {
			want += 2 * time.Second // it has sent two seconds' worth
		}
		if rec.Duration < want || rec.Duration > want+3*time.Second || rec.Reason != "slow_body" {
			t.Errorf("%s after %v, want %v", rec.Reason, rec.Duration, want)
		}
	}
	r.want(r.chat("x"), 200, "new")
}

// A lower min_body_rate gives a client more time for what it has sent.
func TestMinBodyRate(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a limit")
	}
	t.Parallel()
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MinBodyRate = units.KiB })
	c := r.dial()
	_ = c.SetDeadline(time.Now().Add(3 * bodyTime))
	c.send("POST " + chatPath + " HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n" + strings.Repeat("x", 4<<10))
	if a, err := c.answered(); err != nil || a.StatusCode != 408 {
		t.Fatal(a, err)
	}
	want := bodyTime + 4*time.Second // at the default rate 4 KiB earn nothing
	if rec := r.recorded(1); rec.Duration < want || rec.Duration > want+3*time.Second || rec.Reason != "slow_body" {
		t.Errorf("%s after %v, want %v", rec.Reason, rec.Duration, want)
	}
}

// A wildcard does not hide the calls about responses: they keep their route, and no second server gets them.
func TestWildcardsLeaveResponsesAlone(t *testing.T) {
	r := fleet(t, 3, sim.Config{}, func(r *rig) { r.cfg.Expose = []string{"GET /v1/*", "POST /v1/*"} })
	r.do("POST", "/v1/responses/resp_1/cancel", "", "X-Sim-Fault: reset")
	if rec := r.last(); rec.Route != "/v1/responses/{id}/cancel" || count(r.sims) != 1 {
		t.Errorf("route %q, seen by %d", rec.Route, count(r.sims))
	}
}

// A retrieved response that is cut ends with the error event of its API.
func TestCutOfARetrievedStream(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	done := r.turn("GET /v1/responses/resp_1?stream=true HTTP/1.1\r\nHost: a\r\n\r\n")
	up := s.next()
	up.request()
	event := "event: response.created\ndata: {}\n\n"
	up.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(event), event))
	up.Close()
	if a := <-done; !strings.HasPrefix(a.body, event+"event: error\n") {
		t.Errorf("%q", a.body)
	}
}

// Requests that arrive before the first verdicts wait for them.
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
