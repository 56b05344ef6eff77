package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"tether/http1"
	"tether/sim"
	"tether/units"
)

// A refusal reaches also a client that goes on sending: it can send all, and then reads why it was in vain.
func TestRefusalsReachWhoGoesOnSending(t *testing.T) {
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

// FuzzHead: what the guard accepts, fasthttp takes for the same request. There is one head, and one reading of it.
func FuzzHead(f *testing.F) {
	f.Add("POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
	f.Add("\r\nGET http://[::1]:80/v1/x?a HTTP/1.0\r\nhost:[::1]:80\r\nConnection: a, close\r\nX: \xff\r\n\r\n")
	f.Add("OPTIONS * HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n")
	p, _ := reader(f)
	var refused error
	var method, target, fields string
	s := p.settings.Load()
	parser := &s.parser.server
	parser.ErrorHandler = func(_ *fasthttp.RequestCtx, err error) { refused = err }
	parser.Handler = func(ctx *fasthttp.RequestCtx) {
		h := &ctx.Request.Header
		method, target, fields = string(h.Method()), string(h.RequestURI()), string(h.RawHeaders())
	}
	f.Fuzz(func(t *testing.T, text string) {
		var g http1.Guard
		g.Reset(int(s.MaxHeader), s.MaxHeaders)
		n, done, err := g.Head([]byte(text))
		if !done || err != nil {
			return
		}
		line, lines, _ := strings.Cut(strings.TrimPrefix(text[:n], "\r\n"), "\r\n")
		words := strings.Fields(line)
		refused, method, target, fields = nil, "", "", ""
		_ = parser.ServeConn(&spoken{text: strings.NewReader(text[:n])}) // it ends with the text
		switch {
		case refused != nil && strings.Contains(strings.ToLower(lines), "trailer"): // the one field that it judges
		case refused != nil:
			t.Fatalf("fasthttp refuses %q: %v", text[:n], refused)
		case method != words[0] || target != words[1] || fields != lines:
			t.Fatalf("%q: fasthttp has %q %q %q", text[:n], method, target, fields)
		}
	})
}

// spoken is a connection on which text comes, and nothing else happens.
type spoken struct {
	net.Conn
	text io.Reader
}

func (s *spoken) Read(b []byte) (int, error)  { return s.text.Read(b) }
func (s *spoken) Write(b []byte) (int, error) { return len(b), nil }
func (s *spoken) RemoteAddr() net.Addr        { return &net.TCPAddr{} }
func (s *spoken) LocalAddr() net.Addr         { return &net.TCPAddr{} }
func (s *spoken) Close() error                { return nil }
