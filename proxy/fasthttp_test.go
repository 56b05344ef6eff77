package proxy

import (
	"strings"
	"testing"

	"tether/http1"
)

// FuzzHead: fasthttp reads every head that the guard accepts as the same request. There is one reading of a head.
func FuzzHead(f *testing.F) {
	f.Add("POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
	f.Add("\r\nGET http://[::1]:80/v1/x?a HTTP/1.0\r\nhost:[::1]:80\r\nConnection: a, close\r\nX: \xff\r\n\r\n")
	f.Add("OPTIONS * HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n")
	f.Add("GET / HTTP/1.0\r\n\r\n")
	p, _ := reader(f)
	s := p.settings.Load()
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
		buf := s.parser.take(strings.NewReader(text[:n]))
		defer s.parser.give(buf)
		h, err := buf.parse()
		switch {
		case err != nil && strings.Contains(strings.ToLower(lines), "trailer"): // the one field that fasthttp judges
		case err != nil:
			t.Fatalf("fasthttp refuses %q: %v", text[:n], err)
		case string(h.method) != words[0] || string(h.target) != words[1] || string(h.fields) != lines:
			t.Fatalf("%q: fasthttp has %q %q %q", text[:n], h.method, h.target, h.fields)
		case buf.Buffered() > 0:
			t.Fatalf("%q: %d bytes are left", text[:n], buf.Buffered())
		}
	})
}
