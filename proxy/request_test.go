package proxy

import (
	"net/http"
	"strings"
	"testing"

	"tether/sim"
)

// Answers to HEAD have no body, neither tether's own nor those of upstreams.
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

// Connection's values are bounded: thousands of names would be compared with thousands of fields.
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

// Bodies in all framings, one after another on one connection.
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
