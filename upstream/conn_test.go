package upstream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestExchange(t *testing.T) {
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("GET / HTTP/1.1\r\n\r\n"), Body{}, time.Now())
	got := make([]byte, 18)
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != "GET / HTTP/1.1\r\n\r\n" {
		t.Fatalf("the server got %q, %v", got, err)
	}
	peer.Write([]byte(okAnswer))
	a, err := c.Receive(make([]byte, 1024), patience)
	if err != nil || a.Status != 200 || string(a.Rest) != "ok" {
		t.Fatalf("%+v, %v", a, err)
	}
	if c.reused {
		t.Error("a fresh connection counts as used")
	}
	c.Keep(&a, time.Now())
	again := s.u.Pooled(time.Now())
	if again != c || !again.reused {
		t.Error("the connection was not kept for the next request")
	}
}

func TestReceiveFailures(t *testing.T) {
	reset := func(p *net.TCPConn) { p.SetLinger(0); p.Close() }
	for _, c := range []struct {
		name   string
		reused bool
		late   bool // the write was more than a second ago
		play   func(*net.TCPConn)
		want   Failure
	}{
		{"closed", false, false, func(p *net.TCPConn) { p.Close() }, Cut},
		{"reset", false, false, reset, Cut},
		{"used and closed", true, false, func(p *net.TCPConn) { p.Close() }, Stale},
		{"used and reset", true, false, reset, Stale},
		{"used and closed late", true, true, func(p *net.TCPConn) { p.Close() }, Cut},
		{"used and cut in the head", true, false, func(p *net.TCPConn) { p.Write([]byte("HTTP/1.1 2")); p.Close() }, Cut},
		{"cut after an interim answer", true, false, func(p *net.TCPConn) { p.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n")); p.Close() }, Cut},
		{"malformed", false, false, func(p *net.TCPConn) { p.Write([]byte("HTTP/1.1 2x0 OK\r\n\r\n")) }, BadHead},
		{"too large", false, false, func(p *net.TCPConn) { p.Write(bytes.Repeat([]byte("x"), 2000)) }, BadHead},
		{"switching protocols", false, false, func(p *net.TCPConn) { p.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n")) }, BadHead},
		{"storm of interim answers", false, false, func(p *net.TCPConn) {
			p.Write([]byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9) + okAnswer))
		}, BadHead},
		{"silent", false, false, func(*net.TCPConn) {}, HeadTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			conn, peer := s.dial()
			conn.reused = c.reused
			conn.Send([]byte("x"), Body{}, time.Now())
			if c.late {
				conn.sentAt = time.Now().Add(-staleWithin)
			}
			io.ReadFull(peer, make([]byte, 1))
			c.play(peer)
			limit := patience
			if c.want == HeadTimeout {
				limit = time.Millisecond
			}
			if _, err := conn.Receive(make([]byte, 1024), limit); err != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestInterimAnswersAreSkipped(t *testing.T) {
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("x"), Body{}, time.Now())
	peer.Write([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + okAnswer))
	a, err := c.Receive(make([]byte, 1024), patience)
	if err != nil || a.Status != 200 || string(a.Rest) != "ok" {
		t.Errorf("%+v, %v", a, err)
	}
}

// Who asks for another protocol gets the 101, and what follows it untouched.
func TestReceiveSwitch(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
	for _, follows := range []string{"", "\x00HTTP/1.1 200 OK\r\n\r\n"} {
		s := newServer(t)
		c, peer := s.dial()
		c.Send([]byte("x"), Body{}, time.Now())
		peer.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n" + switching + follows))
		a, err := c.ReceiveSwitch(make([]byte, 1024), patience)
		if err != nil || a.Status != 101 || string(a.Rest) != follows {
			t.Errorf("%+v, %v", a, err)
		}
	}
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("x"), Body{}, time.Now())
	peer.Write([]byte(okAnswer))
	if a, err := c.ReceiveSwitch(make([]byte, 1024), patience); err != nil || a.Status != 200 || string(a.Rest) != "ok" {
		t.Errorf("not switched: %+v, %v", a, err)
	}
}

func TestDialFailures(t *testing.T) {
	s := newServer(t)
	s.l.Close()
	if _, err := s.u.Dial(t.Context(), patience); err != Refused {
		t.Errorf("got %v, want Refused", err)
	}
	s.u.address.Dial = "host.invalid:80"
	if _, err := s.u.Dial(t.Context(), patience); err != Unreachable {
		t.Errorf("got %v, want Unreachable", err)
	}
	for f := Refused; f <= HeadTimeout; f++ {
		if f.Error() == "" || strings.ContainsAny(f.Error(), "0123456789") {
			t.Errorf("failure %d: %q", f, f.Error())
		}
	}
}

// A server that answers before it has read the whole request is heard, and what is still being sent ends with it.
func TestAnswerBeforeTheBodyWasSent(t *testing.T) {
	s := newServer(t)
	c, peer := s.dial()
	body := make([]byte, 64<<20)
	c.Send([]byte("POST / HTTP/1.1\r\n\r\n"), Body{body}, time.Now())
	peer.Write([]byte(okAnswer))
	a, err := c.Receive(make([]byte, 1024), patience)
	if err != nil || a.Status != 200 {
		t.Fatalf("%+v, %v", a, err)
	}
	if c.Sent() {
		t.Skip("the kernel took 64 MiB")
	}
	if c.SentWithin(time.Millisecond) {
		t.Error("sent, though the server has not read it")
	}
	c.Keep(&a, time.Now())
	if c.sending != nil {
		t.Error("still sending")
	}
	if s.u.Pooled(time.Now()) != nil {
		t.Error("a connection with half a request on it was kept")
	}
}

// A connection on which a request could not be written to its end is of no use for another, though that one was answered.
func TestConnectionOfHalfARequestIsNotKept(t *testing.T) {
	s := newServer(t)
	for _, body := range []int{0, sendInline + 1} {
		c, peer := s.dial()
		if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		c.Send([]byte("GET / HTTP/1.1\r\n\r\n"), Body{make([]byte, body)}, time.Now())
		peer.Write([]byte(okAnswer))
		a, err := c.Receive(make([]byte, 1024), patience)
		if err != nil || !c.SentWithin(patience) {
			t.Fatalf("%+v, %v", a, err)
		}
		c.Keep(&a, time.Now())
		if s.u.Pooled(time.Now()) != nil {
			t.Errorf("%d bytes of body: kept", body)
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%d bytes of body: the server saw %v", body, err)
		}
	}
}

func TestLargeBodyArrivesWhole(t *testing.T) {
	s := newServer(t)
	for _, size := range []int{1, 3000, 5000, sendInline, sendInline + 1, 8 << 20} {
		c, peer := s.dial()
		head, body := append(make([]byte, 0, 4096), "head "...), bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		c.Send(head, Body{body}, time.Now())
		got := make([]byte, 5+size)
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got[5:], body) || string(got[:5]) != "head " {
			t.Fatalf("%d bytes: %v", size, err)
		}
		peer.Write([]byte(okAnswer))
		a, err := c.Receive(make([]byte, 1024), patience)
		if err != nil {
			t.Fatal(err)
		}
		for !c.Sent() {
		}
		c.Keep(&a, time.Now())
		if s.u.Pooled(time.Now()) != c {
			t.Fatalf("%d bytes: not kept", size)
		}
	}
}

func TestReadBody(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		cut          bool
		max          int
		want         string
		err          bool
		kept         bool
	}{
		{"length", okAnswer, false, 10, "ok", false, true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, 10, "ok", false, true},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nok", true, 10, "ok", false, false},
		{"empty", "HTTP/1.1 204 No Content\r\n\r\n", false, 10, "", false, true},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", true, 10, "", true, false},
		{"cut chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true, 10, "", true, false},
		{"malformed chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx", false, 10, "", true, false},
		{"too large", okAnswer, false, 1, "", true, false},
		{"bytes behind it", okAnswer + "HTTP", false, 10, "ok", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			conn, peer := s.dial()
			conn.Send([]byte("x"), Body{}, time.Now())
			peer.Write([]byte(c.answer))
			if c.cut {
				peer.CloseWrite()
			}
			a, err := conn.Receive(make([]byte, 1024), patience)
			if err != nil {
				t.Fatal(err)
			}
			body, err := conn.ReadBody(&a, c.max, patience)
			if (err != nil) != c.err || string(body) != c.want {
				t.Fatalf("%q, %v", body, err)
			}
			if c.name == "too large" && !errors.Is(err, ErrBodyTooLarge) {
				t.Error(err)
			}
			if err == nil && a.Close == c.kept {
				t.Errorf("may be kept: %v, want %v", !a.Close, c.kept)
			}
		})
	}
}

func TestPoolOrderAndAge(t *testing.T) {
	const old = 4 * time.Second // vLLM's server closes idle connections after 5
	s := newServer(t)
	var conns []*Conn
	var peers []*net.TCPConn
	now := time.Now()
	for range 4 {
		c, p := s.dial()
		conns, peers = append(conns, c), append(peers, p)
	}
	p := &s.u.pool
	for i, c := range conns {
		p.put(c, now.Add(time.Duration(i)*time.Second))
	}
	// Four seconds after the first was put back it is reaped, and no other.
	p.reap(now.Add(old))
	if len(p.idle) != 3 {
		t.Fatalf("%d idle after the first reap", len(p.idle))
	}
	if _, err := peers[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the reaped connection's server saw %v", err)
	}
	if got := p.get(now.Add(old)); got != conns[3] {
		t.Error("not the newest")
	}
	// One that the server closed is passed over.
	peers[2].Close()
	for deadline := time.Now().Add(patience); !conns[2].Stale(); {
		if time.Now().After(deadline) {
			t.Fatal("never stale")
		}
	}
	if got := p.get(now.Add(old)); got != conns[1] {
		t.Error("a closed connection was given")
	}
	if _, err := conns[2].Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a connection that was passed over is open: %v", err)
	}
	if got := p.get(now.Add(old)); got != nil {
		t.Error("more than there was")
	}
	// Too old is not given even before it is reaped.
	p.put(conns[1], now)
	if got := p.get(now.Add(old)); got != nil {
		t.Error("a connection beyond its time was given")
	}
	if _, err := peers[1].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("its server saw %v", err)
	}
	// A retired pool keeps nothing.
	c, peer := s.dial()
	p.put(conns[3], now)
	p.retire()
	p.put(c, now)
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a retired pool's server saw %v", err)
	}
	if len(p.idle) != 0 {
		t.Error("a retired pool keeps connections")
	}
}

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]Address{
		"http://10.0.0.1:8000":           {"tcp", "10.0.0.1:8000", "10.0.0.1:8000", false},
		"http://vllm-0.vllm":             {"tcp", "vllm-0.vllm:80", "vllm-0.vllm", false},
		"http://[::1]:8000/":             {"tcp", "[::1]:8000", "[::1]:8000", false},
		"http+unix:///run/vllm/vllm.soc": {"unix", "/run/vllm/vllm.soc", "localhost", false},
		"https://vllm-0.vllm":            {"tcp", "vllm-0.vllm:443", "vllm-0.vllm", true},
		"https://10.0.0.1:8443/":         {"tcp", "10.0.0.1:8443", "10.0.0.1:8443", true},
	} {
		if got, err := ParseURL(raw); err != nil || got != want {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for raw, want := range map[string]string{
		"":                       "no scheme, want http://HOST:PORT, https://HOST:PORT or http+unix:///PATH",
		"10.0.0.1:8000":          "first path segment in URL cannot contain colon",
		"vllm-0":                 "no scheme, want http://HOST:PORT, https://HOST:PORT or http+unix:///PATH",
		"vllm:8000":              `scheme "vllm", want http, https or http+unix`,
		"ftp://a":                `scheme "ftp", want http, https or http+unix`,
		"http://":                "no host, want http://HOST:PORT",
		"https://a/v1":           "want https://HOST:PORT and nothing behind it: requests keep the client's path",
		"http://a/v1":            "want http://HOST:PORT and nothing behind it: requests keep the client's path",
		"http://a?x=1":           "want http://HOST:PORT and nothing behind it: requests keep the client's path",
		"http://user:pass@a":     "want http://HOST:PORT and nothing behind it: requests keep the client's path",
		"http://a:0":             "port 0, want 1..65535",
		"http://a:70000":         "port 70000, want 1..65535",
		"http+unix://host/path":  "want http+unix:///PATH/OF/SOCKET",
		"http+unix:relative/soc": "want http+unix:///PATH/OF/SOCKET",
	} {
		if _, err := ParseURL(raw); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
}

func BenchmarkPool(b *testing.B) {
	s := newServer(b)
	c, _ := s.dial()
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s.u.pool.put(c, now)
		if s.u.Pooled(now) == nil {
			b.Fatal("gone")
		}
	}
}

// Eight interim answers are skipped, no more.
func TestInterimAnswers(t *testing.T) {
	for n, want := range map[int]error{0: nil, maxInterim: nil, maxInterim + 1: BadHead} {
		s := newServer(t)
		c, peer := s.dial()
		c.Send([]byte("x"), Body{}, time.Now())
		_, _ = peer.Write([]byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", n) + okAnswer))
		if a, err := c.Receive(make([]byte, 1024), patience); err != want {
			t.Errorf("behind %d: %d %v, want %v", n, a.Status, err, want)
		}
	}
}
