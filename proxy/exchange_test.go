package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/sim"
)

// Answers to HEAD have no body, tether's own as little as those of upstreams.
func TestHEAD(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()}, func(r *rig) { r.cfg.Expose = []string{"HEAD /version"} })
	c := r.dial()
	c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /version HTTP/1.1\r\nHost: a\r\n\r\nHEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
	up := s.next()
	up.request()
	up.send("HTTP/1.1 500 Error\r\nContent-Length: 20\r\n\r\n")
	for _, want := range []struct{ status, length int }{{404, -1}, {500, 20}, {404, -1}} {
		res, err := http.ReadResponse(c.r, &http.Request{Method: "HEAD"})
		r.must(err)
		if res.StatusCode != want.status || want.length >= 0 && res.ContentLength != int64(want.length) || res.ContentLength <= 0 {
			t.Errorf("%d, length %d, want %+v", res.StatusCode, res.ContentLength, want)
		}
	}
}

// HTTP/1.0 clients are told when the connection stays, by whoever answers.
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

// Time for a body is bought by what has come, not by what was promised.
func TestPromisesBuyNoTime(t *testing.T) {
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
			c.send(head + "Content-Length: 67108864\r\n\r\n" + strings.Repeat("x", 2*bodyRate))
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
			want += 2 * time.Second // for as much had come of that one
		}
		if rec.Duration < want || rec.Duration > want+3*time.Second || rec.Reason != "slow_body" {
			t.Errorf("%s after %v, want %v", rec.Reason, rec.Duration, want)
		}
	}
	r.want(r.chat("x"), 200, "new")
}

// Thousands of names in Connection would be compared with thousands of fields.
func TestConnectionListsAreBounded(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxHeaders = 10_000 })
	fields := strings.Repeat("y:\r\n", 1000)
	for status, connection := range map[int]string{
		200: "Connection: " + strings.Repeat("x,", 120) + "\r\n",
		400: strings.Repeat("Connection: "+strings.Repeat("x,", 60)+"\r\n", 3),
	} {
		c := r.dial()
		c.send("GET /v1/models HTTP/1.1\r\nHost: a\r\n" + connection + fields + "\r\n")
		if a := c.receive(); a.StatusCode != status {
			t.Errorf("%d, want %d", a.StatusCode, status)
		}
	}
}

// Calls about responses are themselves behind a wildcard too: with their server, and never given to a second.
func TestWildcardsLeaveResponsesAlone(t *testing.T) {
	r := fleet(t, 3, sim.Config{}, func(r *rig) { r.cfg.Expose = []string{"GET /v1/*", "POST /v1/*"} })
	r.do("POST", "/v1/responses/resp_1/cancel", "", "X-Sim-Fault: reset")
	if rec := r.last(); rec.Route != "/v1/responses/{id}/cancel" || count(r.sims) != 1 {
		t.Errorf("route %q, seen by %d", rec.Route, count(r.sims))
	}
}

// A retrieved response that is cut says so in the words of its API.
func TestRetrievedStreamIsCutInItsWords(t *testing.T) {
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

// Bodies in all framings, one behind the other on one connection.
func TestOddFramings(t *testing.T) {
	url, _ := echo(t)
	r := newRig(t, []string{url}, func(r *rig) { r.cfg.Expose = []string{"GET /g", "DELETE /g"} })
	c := r.dial()
	continued := func() {
		t.Helper()
		for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
			if line, err := c.r.ReadString('\n'); err != nil || line != want {
				t.Fatalf("%q, %v", line, err)
			}
		}
	}
	want := func(body string) {
		t.Helper()
		if a := c.receive(); a.body != body {
			t.Errorf("got %.20q, want %.20q", a.body, body)
		}
	}
	const get, chunked = "GET /g?framing=length HTTP/1.1\r\nHost: a\r\n", "Transfer-Encoding: chunked\r\n"
	c.send("POST /v1/embeddings?framing=length HTTP/1.1\r\nHost: a\r\n" + chunked + "Expect: 100-continue\r\n\r\n")
	continued()
	c.send("5\r\nhello\r\n0\r\n\r\n")
	want("hello")
	c.send(get + "Content-Length: 3\r\n\r\nabc" + get + chunked + "\r\n3\r\nxyz\r\n0\r\n\r\n")
	want("abc")
	want("xyz")
	large := strings.Repeat("d", 20000)
	c.send("DELETE /g?framing=length HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + large + "\r\n" +
		get + chunked + "Expect: 100-continue\r\n\r\n1\r\nz\r\n0\r\n\r\n")
	want(large)
	continued()
	want("z")
}
