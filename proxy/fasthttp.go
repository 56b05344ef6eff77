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

// parser has the buffers that heads are parsed in.
type parser struct {
	maxHead int       // what fits into a buffer
	buffers sync.Pool // of *bufio.Reader
}

// newParser makes a parser of heads of at most maxHead bytes.
func newParser(maxHead int) *parser {
	return &parser{maxHead: maxHead, buffers: sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxHead+1) }}} // the guard refuses larger heads first
}

// take takes a buffer whose bytes come from r. It belongs to the caller until give.
func (p *parser) take(r io.Reader) *bufio.Reader {
	b := p.buffers.Get().(*bufio.Reader)
	b.Reset(r)
	return b
}

func (p *parser) give(b *bufio.Reader) {
	b.Reset(nil)
	p.buffers.Put(b)
}

// parsed is a parsed head. It owns the memory of the head.
type parsed struct{ header fasthttp.RequestHeader }

// parse reads one head. The guard has let pass all that r yields, and nothing follows the head there. The error is r's, or fasthttp refuses one
// thing that the guard lets pass: a Trailer that announces a field which cannot be one, as Content-Length.
func (p *parsed) parse(r *bufio.Reader) (head, error) {
	h := &p.header
	h.DisableNormalizing()
	if err := h.Read(r); err != nil {
		return head{}, err
	}
	return head{method: h.Method(), target: h.RequestURI(), fields: h.RawHeaders()}, nil
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
