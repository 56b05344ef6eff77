package proxy

import (
	"strings"
	"testing"

	"tether/http1"
)

// FuzzHead: fasthttp reads every head that the guard accepts as the same request, whether it gets the whole head or what it judges. There
// is one reading of a head.
func FuzzHead(f *testing.F) {
	f.Add("POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
	f.Add("\r\nGET http://[::1]:80/v1/x?a HTTP/1.0\r\nhost:[::1]:80\r\nConnection: a, close\r\nX: \xff\r\n\r\n")
	f.Add("OPTIONS * HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n")
	f.Add("GET / HTTP/1.0\r\n\r\n")
	f.Add("GET / HTTP/1.1\r\nTrailer: x, content-length\r\nHost: a\r\n\r\n")
	f.Add("GET / HTTP/1.1\r\nTrailer: X-Sum\r\nhost: a\r\nTrailer:\r\n\r\n")
	p, _ := reader(f)
	s := p.settings.Load()
	whole := s.parser.readers.Get().(*headReader)
	f.Fuzz(func(t *testing.T, text string) {
		var g http1.Guard
		g.Reset(int(s.MaxHeader), s.MaxHeaders)
		n, done, err := g.Head([]byte(text))
		if !done || err != nil {
			return
		}
		line, lines, _ := strings.Cut(strings.TrimPrefix(text[:n], "\r\n"), "\r\n")
		words := strings.Fields(line)
		h, err := s.parser.parse([]byte(text[:n]), g.Lines, new(headText))
		if err == nil && (string(h.method) != words[0] || string(h.target) != words[1] || string(h.fields) != lines) {
			t.Fatalf("%q is read as %q %q %q", text[:n], h.method, h.target, h.fields)
		}
		whole.source.Reset([]byte(text[:n]))
		whole.reader.Reset(&whole.source)
		wholeErr := whole.header.Read(whole.reader)
		if lines == "\r\n" { // HTTP/1.0 without a field: fasthttp gives nothing
			lines = ""
		}
		switch {
		case (wholeErr == nil) != (err == nil):
			t.Fatalf("%q: fasthttp says %v of the whole head, and %v of what it gets", text[:n], wholeErr, err)
		case err != nil && strings.Contains(strings.ToLower(lines), "trailer"): // the one field that fasthttp judges
		case err != nil:
			t.Fatalf("fasthttp refuses %q: %v", text[:n], err)
		case string(whole.header.Method()) != words[0] || string(whole.header.RequestURI()) != words[1] || string(whole.header.RawHeaders()) != lines:
			t.Fatalf("%q: fasthttp has %q %q %q", text[:n], whole.header.Method(), whole.header.RequestURI(), whole.header.RawHeaders())
		case whole.reader.Buffered() > 0:
			t.Fatalf("%q: %d bytes are left", text[:n], whole.reader.Buffered())
		}
	})
}
