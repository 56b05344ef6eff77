package proxy

import (
	"bufio"
	"bytes"
	"sync"

	"github.com/valyala/fasthttp"

	"tether/http1"
)

// This file is the only one that knows fasthttp, which parses request lines and does nothing else. It gets them of heads that the guard
// has let pass, and gives the method and the target. The guard has found the fields: of those, fasthttp gets the ones that it judges.
//
// fasthttp never decides where a request ends. The guard does, before fasthttp sees a byte, and it lets only heads pass that have
// one meaning. So what matters in a new version of fasthttp is what it refuses or changes in such a head: FuzzHead finds
// that.

// parser parses the heads of requests, of at most maxHead bytes. The guard refuses larger ones first.
type parser struct {
	maxHead int
	buffers sync.Pool // of *[]byte, into which goroutines receive heads
	readers sync.Pool // of *headReader
}

func newParser(maxHead int) *parser {
	return &parser{
		maxHead: maxHead,
		buffers: sync.Pool{New: func() any { b := make([]byte, maxHead+1); return &b }},
		readers: sync.Pool{New: func() any { return &headReader{reader: bufio.NewReaderSize(nil, maxHead+1)} }},
	}
}

// parse reads a head that the guard has let pass, with its lines, and copies it to t. fasthttp refuses one thing that the guard lets pass:
// a Trailer that announces a field which cannot be one, as Content-Length.
func (p *parser) parse(text []byte, lines []http1.Line, t *headText) (head, error) {
	r := p.readers.Get().(*headReader)
	defer p.readers.Put(r)
	h, err := r.parse(text, lines)
	if err == nil {
		t.keep(&h)
	}
	return h, err
}

// headReader reads heads, one after another.
type headReader struct {
	judged []byte // what fasthttp gets of the present head
	source bytes.Reader
	reader *bufio.Reader
	header fasthttp.RequestHeader
}

// parse reads a head, which lies in text or is valid until the next call.
func (h *headReader) parse(text []byte, lines []http1.Line) (head, error) {
	text = bytes.TrimPrefix(text, []byte("\r\n"))
	end := bytes.IndexByte(text, '\n') + 1
	fields := text[end:]
	h.judged = append(h.judged[:0], text[:end]...)
	for _, l := range lines {
		if name := l.Name(fields); http1.EqualFold(name, "host") || http1.EqualFold(name, "trailer") {
			h.judged = append(h.judged, fields[l.From:l.To]...)
		}
	}
	h.judged = append(h.judged, "\r\n"...)
	h.source.Reset(h.judged)
	h.reader.Reset(&h.source)
	if err := h.header.Read(h.reader); err != nil {
		return head{}, err
	}
	return head{method: h.header.Method(), target: h.header.RequestURI(), fields: fields}, nil
}
