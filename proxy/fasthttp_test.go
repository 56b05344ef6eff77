package proxy

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"tether/http1"
)

// FuzzHead: fasthttp reads every head that the guard accepts as the same request. There is one reading of a head.
func FuzzHead(f *testing.F) {
	f.Add("POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
	f.Add("\r\nGET http://[::1]:80/v1/x?a HTTP/1.0\r\nhost:[::1]:80\r\nConnection: a, close\r\nX: \xff\r\n\r\n")
	f.Add("OPTIONS * HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n")
	f.Add("GET / HTTP/1.0\r\n\r\n")
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
		if lines == "\r\n" { // HTTP/1.0 without a field: fasthttp gives nothing
			lines = ""
		}
		words := strings.Fields(line)
		refused, method, target, fields = nil, "", "", ""
		_ = parser.ServeConn(&spoken{text: strings.NewReader(text[:n])}) // which ends with the text
		switch {
		case refused != nil && strings.Contains(strings.ToLower(lines), "trailer"): // the one field that fasthttp judges
		case refused != nil:
			t.Fatalf("fasthttp refuses %q: %v", text[:n], refused)
		case method != words[0] || target != words[1] || fields != lines:
			t.Fatalf("%q: fasthttp has %q %q %q", text[:n], method, target, fields)
		}
	})
}

// spoken is a connection that yields text and drops what is written.
type spoken struct {
	net.Conn
	text io.Reader
}

func (s *spoken) Read(b []byte) (int, error) { return s.text.Read(b) }

func (s *spoken) Write(b []byte) (int, error) { return len(b), nil }

func (s *spoken) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func (s *spoken) LocalAddr() net.Addr { return &net.TCPAddr{} }

func (s *spoken) Close() error { return nil }
