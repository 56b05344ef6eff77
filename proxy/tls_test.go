package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/failure"
	"tether/session"
	"tether/sim"
	"tether/tlsfiles"
	"tether/tlsfiles/tlstest"
	"tether/upstream"
)

// secured is an option: clients speak TLS.
func secured(authority *tlstest.Authority) option {
	return func(r *rig) {
		pair := authority.Issue(time.Hour, "127.0.0.1")
		kept, err := tlsfiles.ForListener(&tlsfiles.Listener{Cert: pair.Cert, Key: pair.Key})
		r.must(err)
		r.server, r.client = kept.ForServer(), &tls.Config{RootCAs: authority.Pool, ServerName: "127.0.0.1"}
	}
}

// trusting is an option: upstreams with an https URL must have certificates of the authority.
func trusting(authority *tlstest.Authority, change func(*tlsfiles.Upstream)) option {
	return func(r *rig) {
		cfg := tlsfiles.Upstream{CA: authority.File}
		if change != nil {
			change(&cfg)
		}
		kept, err := tlsfiles.ForUpstream(&cfg, "127.0.0.1")
		r.must(err)
		r.spec = func(s *upstream.Spec) { s.TLS = kept }
	}
}

// secureFleet is a fleet with TLS on both sides.
func secureFleet(t testing.TB, n int, cfg sim.Config, options ...option) *rig {
	t.Helper()
	authority := tlstest.NewAuthority(t)
	pair := authority.Issue(time.Hour, "127.0.0.1").Load(t)
	var sims []*sim.Server
	var urls []string
	for i := range n {
		c := cfg
		c.Name = fmt.Sprintf("vllm-%d", i)
		s := sim.New(c)
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		sims = append(sims, s)
		urls = append(urls, front(t, s.Addr(), &tls.Config{Certificates: []tls.Certificate{pair}}))
	}
	r := newRig(t, urls, append([]option{secured(authority), trusting(authority, nil)}, options...)...)
	r.sims = sims
	return r
}

// front terminates TLS in front of a server, as a sidecar does, and gives the URL.
func front(t testing.TB, server string, cfg *tls.Config) string {
	t.Helper()
	return "https://" + serveEach(t, func(c net.Conn) { join(tls.Server(c, cfg), server) })
}

// serveEach serves each connection to a listener by itself until the test ends, and gives the address.
func serveEach(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// join carries bytes between a connection and a server until either side ends.
func join(c net.Conn, server string) {
	defer c.Close()
	s, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer s.Close()
	ended := make(chan struct{}, 2)
	carry := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src)
		c.Close()
		s.Close()
		ended <- struct{}{}
	}
	go carry(s, c)
	go carry(c, s)
	<-ended
	<-ended
}

// Requests pass through TLS on both sides as they do without: whole and streamed, small and large, one after another on
// kept connections.
func TestTLS(t *testing.T) {
	r := secureFleet(t, 3, sim.Config{Record: 100})
	for n := range 20 {
		a := r.chat("hello", fmt.Sprint("X-Session-Id: s-", n%5))
		if want := []string{"new", "pinned"}[min(n/5, 1)]; a.StatusCode != 200 || a.outcome() != want {
			t.Fatalf("%d, %s, want %s: %s", a.StatusCode, a.outcome(), want, a.body)
		}
	}
	a := r.do("POST", chatPath, streamed("hello"))
	if a.err != nil || !strings.HasSuffix(a.body, "data: [DONE]\n\n") {
		t.Errorf("%v in %s", a.err, a.body)
	}
	large := chat(strings.Repeat("x", 3<<20))
	if a := r.do("POST", chatPath, large); a.StatusCode != 200 {
		t.Errorf("%d for a large body", a.StatusCode)
	}
	conns := 0
	for _, s := range r.sims {
		for _, q := range s.Requests() {
			if q.Header.Get("X-Forwarded-Proto") != "https" {
				t.Errorf("X-Forwarded-Proto: %s", q.Header.Get("X-Forwarded-Proto"))
			}
		}
		conns += s.Load().Conns
	}
	if conns > 3 {
		t.Errorf("%d connections to 3 servers: they were not kept", conns)
	}
}

// A stream that dies under TLS is visibly cut.
func TestCutUnderTLS(t *testing.T) {
	r := secureFleet(t, 1, sim.Config{})
	for _, fault := range []string{"cut-between=3", "cut-inside=3", "cut-rst=3"} {
		a := r.do("POST", chatPath, streamed("hello"), "X-Sim-Fault: "+fault)
		if a.StatusCode != 200 || !errors.Is(a.err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %d, %v", fault, a.StatusCode, a.err)
		}
	}
	// If the end of the connection is the end of the answer, close_notify marks a good end, and a cut answer has none.
	a := r.do("POST", chatPath, chat("hello"), "X-Sim-Fault: no-length")
	if a.StatusCode != 200 || a.err != nil || !strings.HasSuffix(a.body, "}") {
		t.Errorf("%d, %v: %s", a.StatusCode, a.err, a.body)
	}
}

// secureScript is a rig in front of a script that speaks TLS; next gives its connections.
func secureScript(t *testing.T, version uint16, options ...option) (r *rig, next func() *rawConn) {
	t.Helper()
	authority := tlstest.NewAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{authority.Issue(time.Hour, "127.0.0.1").Load(t)}, MaxVersion: version}
	s := newScript(t)
	r = newRig(t, []string{"https://" + s.l.Addr().String()}, append(options, trusting(authority, nil))...)
	return r, func() *rawConn {
		t.Helper()
		c := s.next()
		c.secure = tls.Server(c.TCPConn, cfg)
		r.must(c.secure.Handshake())
		c.r = bufio.NewReader(c.secure)
		return c
	}
}

// The ways in which a server's sending half may end under TLS: with close_notify, and without.
var endings = map[string]func(*rawConn) error{
	"close_notify": func(c *rawConn) error { return c.secure.CloseWrite() },
	"FIN":          func(c *rawConn) error { return c.TCPConn.CloseWrite() },
}

// If the end of the connection is the end of the answer, only close_notify marks a whole answer: any host on the way can send a FIN,
// and a server that dies does.
func TestEndOfAnswerUnderTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, end := range endings {
			for client, options := range map[string][]option{"plain": nil, "TLS": {secured(tlstest.NewAuthority(t))}} {
				t.Run(fmt.Sprint(tls.VersionName(version), ", ", name, ", client ", client), func(t *testing.T) {
					r, next := secureScript(t, version, options...)
					c := r.dial()
					c.send(post(chatPath, chat("hello")))
					up := next()
					up.request()
					up.send("HTTP/1.1 200 OK\r\n\r\nhalf of the ans")
					r.must(end(up))
					text, err := c.rest()
					rec := r.recorded(1)
					switch {
					case name == "FIN" && (err == nil || rec.Reason != "upstream_cut"):
						t.Errorf("%q passes for whole: %v, %q", text, err, rec.Reason)
					case name != "FIN" && (err != nil || rec.Reason != "" || !strings.HasSuffix(text, "\r\n\r\nhalf of the ans")):
						t.Errorf("%q, %v, %q", text, err, rec.Reason)
					}
				})
			}
		}
	}
}

// However a server ends an idle connection, the next request is served on another one: whether the connection has ended before the
// request is sent, or ends after that.
func TestKeptConnectionsEndUnderTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, end := range endings {
			for _, sent := range []bool{false, true} {
				t.Run(fmt.Sprint(tls.VersionName(version), ", ", name, ", sent ", sent), func(t *testing.T) {
					r, next := secureScript(t, version)
					c := r.dial()
					c.send(post(chatPath, chat("hello")))
					up := next()
					up.request()
					up.send(ok("one"))
					c.receive()
					if sent {
						c.send(post(chatPath, chat("hello")))
						up.request()
						r.must(end(up))
					} else {
						r.must(end(up))
						c.send(post(chatPath, chat("hello")))
					}
					up = next()
					up.request()
					up.send(ok("two"))
					if a := c.receive(); a.StatusCode != 200 || a.body != "two" {
						t.Errorf("%d %s", a.StatusCode, a.body)
					}
					if rec := r.recorded(2); rec.Reason != "" || sent && rec.Replays != 1 {
						t.Errorf("%d replays, %q", rec.Replays, rec.Reason)
					}
				})
			}
		}
	}
}

// A WebSocket whose server sends no close_notify was cut.
func TestEndOfTunnelUnderTLS(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			r, next := secureScript(t, tls.VersionTLS13)
			c := r.dial()
			c.send(handshake(realtimePath, sid))
			up := next()
			up.request()
			up.send(switching + "some words")
			r.must(end(up))
			c.switched()
			if text, err := c.rest(); text != "some words" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
			want := ""
			if name == "FIN" {
				want = "upstream_cut"
			}
			if rec := r.recorded(1); rec.Status != 101 || rec.Reason != want {
				t.Errorf("recorded as %d, %q, want %q", rec.Status, rec.Reason, want)
			}
		})
	}
}

// A server whose certificate is not trusted gets no request, and no session is pinned to it.
func TestUntrustedUpstreams(t *testing.T) {
	authority, other := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	s := sim.New(sim.Config{Record: 10})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	wanted := authority.Issue(time.Hour, "client")
	for name, c := range map[string]struct {
		pair   tlstest.Pair
		server func(*tls.Config)
		client func(*tlsfiles.Upstream)
		good   bool
	}{
		"trusted":             {pair: authority.Issue(time.Hour, "127.0.0.1"), good: true},
		"of another":          {pair: other.Issue(time.Hour, "127.0.0.1")},
		"expired":             {pair: authority.Issue(-time.Minute, "127.0.0.1")},
		"for another name":    {pair: authority.Issue(time.Hour, "vllm-0.example")},
		"for the server_name": {pair: authority.Issue(time.Hour, "vllm-0.example"), client: func(u *tlsfiles.Upstream) { u.ServerName = "vllm-0.example" }, good: true},
		"TLS 1.1":             {pair: authority.Issue(time.Hour, "127.0.0.1"), server: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }},
		"wants a client certificate": {pair: authority.Issue(time.Hour, "127.0.0.1"), server: func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, authority.Pool, tls.VersionTLS12
		}},
		"gets a client certificate": {
			pair:   authority.Issue(time.Hour, "127.0.0.1"),
			server: func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, authority.Pool },
			client: func(u *tlsfiles.Upstream) { u.Cert, u.Key = wanted.Cert, wanted.Key }, good: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.Requests())
			server := &tls.Config{Certificates: []tls.Certificate{c.pair.Load(t)}, MinVersion: tls.VersionTLS10}
			if c.server != nil {
				c.server(server)
			}
			r := newRig(t, []string{front(t, s.Addr(), server)}, trusting(authority, c.client))
			a := r.chat("hello", sid)
			if c.good {
				r.want(a, 200, "new")
				return
			}
			if a.StatusCode != 502 || len(s.Requests()) != before || r.last().Tries[0].Failure != failure.Insecure || !r.up(0).State().Suspect() {
				t.Errorf("%d, %+v: %s", a.StatusCode, r.last().Tries, a.body)
			}
		})
	}
	t.Run("no TLS there", func(t *testing.T) {
		r := newRig(t, []string{"https://" + s.Addr()}, trusting(authority, nil))
		if a := r.chat("hello"); a.StatusCode != 502 || r.last().Tries[0].Failure != failure.Insecure {
			t.Errorf("%d, %+v", a.StatusCode, r.last().Tries)
		}
	})
}

// corked is a connection that holds back all writes while it is corked, so that they arrive at once.
type corked struct {
	net.Conn
	cork bool
	held []byte
}

func (c *corked) Write(b []byte) (int, error) {
	if c.cork {
		c.held = append(c.held, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *corked) uncork() error {
	c.cork = false
	_, err := c.Conn.Write(c.held)
	c.held = nil
	return err
}

// Bytes after an answer must not begin the next one, even if TLS has them in its own buffers, where no peek at the socket
// finds them: a second record that arrived with the first.
func TestBytesAfterAnAnswerUnderTLS(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{authority.Issue(time.Hour, "127.0.0.1").Load(t)}}
	addr := serveEach(t, func(c net.Conn) { answersTwice(c, server) })
	r := newRig(t, []string{"https://" + addr}, trusting(authority, nil))
	for range 5 {
		if a := r.chat("hello"); a.body != "good" {
			t.Errorf("got %.50q", a.body)
		}
	}
}

// answersTwice answers every request on a connection with two answers, in two records that arrive at once.
func answersTwice(socket net.Conn, cfg *tls.Config) {
	below := &corked{Conn: socket}
	c := tls.Server(below, cfg)
	defer c.Close()
	for requests := bufio.NewReader(c); ; {
		req, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		below.cork = true
		_, _ = io.WriteString(c, ok("good"))
		_, _ = io.WriteString(c, ok("evil"))
		if below.uncork() != nil {
			return
		}
	}
}

// A client that speaks no TLS, an old version, or none in time is dropped, and no other client waits for it.
func TestTLSHandshakes(t *testing.T) {
	t.Parallel()
	refused := make(chan string, 100)
	authority := tlstest.NewAuthority(t)
	r := fleet(t, 1, sim.Config{}, secured(authority), func(r *rig) {
		r.onRefuse = func(_ int, reason string) { refused <- reason }
	})
	silent, err := net.Dial("tcp", r.addr)
	r.must(err)
	defer silent.Close()
	started := time.Now()
	plain, err := net.Dial("tcp", r.addr)
	r.must(err)
	defer plain.Close()
	_, _ = io.WriteString(plain, "SSH-2.0-OpenSSH_9.2\r\n")
	if reason := <-refused; reason != "tls" {
		t.Errorf("refused because of %s", reason)
	}
	if said, err := io.ReadAll(plain); len(said) > 0 {
		t.Errorf("a client that speaks neither TLS nor HTTP gets %q, %v", said, err)
	}
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		cfg := r.client.Clone()
		cfg.MinVersion, cfg.MaxVersion, cfg.NextProtos = version, version, []string{"h2", "http/1.1"}
		c, err := tls.Dial("tcp", r.addr, cfg)
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			if p := c.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
				t.Errorf("%s: protocol %q", tls.VersionName(version), p)
			}
			c.Close()
		} else {
			<-refused
		}
	}
	if _, err := tls.Dial("tcp", r.addr, &tls.Config{ServerName: "127.0.0.1"}); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("a client without the authority: %v", err)
	}
	<-refused
	r.want(r.chat("hello", sid), 200, session.New.String())
	_ = silent.SetReadDeadline(time.Now().Add(2 * headTime))
	if _, err := io.Copy(io.Discard, silent); err != nil || time.Since(started) < headTime-time.Second {
		t.Errorf("the silent one was let go after %v: %v", time.Since(started), err)
	}
}

// An HTTP request where clients must speak TLS gets an answer that says so, in plain text.
func TestPlainHTTPWhereTLSIsSpoken(t *testing.T) {
	refused := make(chan string, 100)
	r := fleet(t, 1, sim.Config{}, secured(tlstest.NewAuthority(t)), func(r *rig) {
		r.onRefuse = func(_ int, reason string) { refused <- reason }
	})
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a/ HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\n", "PUT /",
		post(chatPath, chat(strings.Repeat("x", 1<<20))),
	} {
		c, err := net.Dial("tcp", r.addr)
		r.must(err)
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, request) // tether reads on for a second
		br := bufio.NewReader(c)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("%.20q: %v", request, err)
		}
		body, err := io.ReadAll(res.Body)
		if res.StatusCode != 400 || !res.Close || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") || !strings.Contains(string(body), "HTTPS") || err != nil {
			t.Errorf("%.20q: %d %v %q, %v", request, res.StatusCode, res.Header, body, err)
		}
		if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
			t.Errorf("%.20q: then %q, %v", request, rest, err)
		}
		if reason := <-refused; reason != "tls" {
			t.Errorf("%.20q: refused because of %s", request, reason)
		}
		c.Close()
	}
	if n := count(r.sims); n > 0 {
		t.Errorf("the server got %d requests", n)
	}
}

// TLS 1.2 has authenticated encryption alone, on both sides. A client may ask for HTTP/1.0 by ALPN.
func TestSuitesAndProtocols(t *testing.T) {
	authority := tlstest.NewAuthority(t)
	r := fleet(t, 1, sim.Config{}, secured(authority))
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			continue
		}
		cfg := r.client.Clone()
		cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, []uint16{suite.ID}
		c, err := tls.Dial("tcp", r.addr, cfg)
		if err == nil {
			c.Close()
		}
		aead := strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "_POLY1305_")
		forward := strings.HasPrefix(suite.Name, "TLS_ECDHE_ECDSA_") // the certificate's kind of key
		if got, want := err == nil, aead && forward; got != want {
			t.Errorf("%s: %v, want %v", suite.Name, err, want)
		}
	}
	for _, c := range []struct {
		offered []string
		want    string // "" for no connection
	}{
		{[]string{"http/1.1"}, "http/1.1"}, {[]string{"http/1.0"}, "http/1.0"}, {[]string{"h2", "http/1.0", "http/1.1"}, "http/1.1"}, {[]string{"h2"}, ""},
	} {
		cfg := r.client.Clone()
		cfg.NextProtos = c.offered
		conn, err := tls.Dial("tcp", r.addr, cfg)
		got := ""
		if err == nil {
			got = conn.ConnectionState().NegotiatedProtocol
			conn.Close()
		}
		if got != c.want {
			t.Errorf("%v: %q, %v; want %q", c.offered, got, err, c.want)
		}
	}
	old := front(t, r.sims[0].Addr(), &tls.Config{
		Certificates: []tls.Certificate{authority.Issue(time.Hour, "127.0.0.1").Load(t)}, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
	})
	weak := newRig(t, []string{old}, trusting(authority, nil))
	weak.want(weak.chat("x"), 502, "new")
}
