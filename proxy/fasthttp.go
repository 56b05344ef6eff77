package proxy

import (
	"bufio"
	"io"
	"sync"

	"github.com/valyala/fasthttp"
)

// This file is the only one that knows fasthttp, which parses the heads of requests and does nothing else. It gets bytes that the guard
// has let pass, and gives the method, the target and the header lines.
//
// fasthttp never decides where a request ends. The guard does, before fasthttp sees a byte, and it lets only heads pass that have
// one meaning. So what matters in a new version of fasthttp is what it refuses or changes in such a head: FuzzHead finds
// that.

// parser has the readers that heads are parsed in.
type parser struct {
	maxHead int       // what fits into a reader
	readers sync.Pool // of *headReader
}

// newParser makes a parser of heads of at most maxHead bytes.
func newParser(maxHead int) *parser {
	return &parser{maxHead: maxHead, readers: sync.Pool{New: func() any {
		return &headReader{Reader: bufio.NewReaderSize(nil, maxHead+1)} // the guard refuses larger heads first
	}}}
}

// headReader reads heads, one after another.
type headReader struct {
	*bufio.Reader
	header fasthttp.RequestHeader
}

// take takes a reader whose bytes come from r. It belongs to the caller until give.
func (p *parser) take(r io.Reader) *headReader {
	h := p.readers.Get().(*headReader)
	h.Reset(r)
	return h
}

func (p *parser) give(h *headReader) {
	h.Reset(nil)
	p.readers.Put(h)
}

// parse reads one head, which is valid until the next call. The guard has let pass all bytes that there are, and nothing follows the head.
// The error is that of the bytes' source, or fasthttp refuses one thing that the guard lets pass: a Trailer that announces a field which
// cannot be one, as Content-Length.
func (h *headReader) parse() (head, error) {
	h.header.DisableNormalizing()
	if err := h.header.Read(h.Reader); err != nil {
		return head{}, err
	}
	return head{method: h.header.Method(), target: h.header.RequestURI(), fields: h.header.RawHeaders()}, nil
}

// headSource yields the heads of a client's requests as their bytes arrive, and nothing else. After a head that was refused it has ended.
type headSource struct{ *client }

// Read gives the bytes of the next head. The error is always io.EOF: the client was told what there was to tell.
func (c headSource) Read(b []byte) (int, error) {
	n, more := c.readHead(b)
	if !more {
		return 0, io.EOF
	}
	return n, nil
}
