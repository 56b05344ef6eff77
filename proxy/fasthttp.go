package proxy

import (
	"io"

	"github.com/valyala/fasthttp"
)

// This file is the only one that knows fasthttp, which parses the heads of requests and runs the loop over the requests of a
// connection. Both take bytes from parserConn and hand over the method, the target and the header lines: the rest of the proxy
// depends on nothing else of it.
//
// fasthttp never decides where a request ends. The guard does, before fasthttp sees a byte, and it lets only heads pass that have
// one meaning. So what matters in a new version of fasthttp is what it refuses or changes in such a head (FuzzHead finds
// that), and what it reads or writes beside it. Version 1.78 reads what a handler left of a streamed body, so fasthttp is told of
// every request that there is no body.

// parser reads the requests of client connections.
type parser struct {
	server  fasthttp.Server
	maxHead int // what fits into the buffer of a connection
}

// newParser makes a parser of heads of at most maxHead bytes. It calls handle for each request, whose head is complete and whose
// body is still on the connection, and closes the connection where handle says so.
func newParser(handle func(*client, head) (closing bool), maxHead int) *parser {
	return &parser{maxHead: maxHead, server: fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			h := &ctx.Request.Header
			if handle(clientOf(ctx), head{method: h.Method(), target: h.RequestURI(), fields: h.RawHeaders()}) {
				ctx.SetConnectionClose()
			}
		},
		// fasthttp refuses one thing that the guard lets pass: a Trailer that announces a field which cannot be one, as
		// Content-Length.
		ErrorHandler: func(ctx *fasthttp.RequestCtx, _ error) {
			if c := clientOf(ctx); !c.ended {
				c.refuse(faultMalformed, nil)
			}
		},
		// The end of the connection and the body are the proxy's business.
		HeaderReceived: func(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
			h.ResetConnectionClose()
			h.SetContentLength(0)
			return c
		},
		DisablePreParseMultipartForm:  true,
		DisableHeaderNamesNormalizing: true,
		NoDefaultServerHeader:         true,
		NoDefaultDate:                 true,
		NoDefaultContentType:          true,
		SecureErrorLogMessage:         true,
		ReadBufferSize:                maxHead + 1, // the guard refuses larger heads first
		WriteBufferSize:               512,         // of what is dropped
		Concurrency:                   1 << 30,     // Serve bounds connections
		Logger:                        silence{},
	}}
}

// serve serves the requests of a client until its connection ends.
func (p *parser) serve(c *client) {
	_ = p.server.ServeConn(parserConn{c}) // its errors are those of clients, and answered
}

// silence keeps fasthttp's messages out of the log: they quote what clients sent.
type silence struct{}

func (silence) Printf(string, ...any) {}

// parserConn is a client's connection as fasthttp sees it: it yields the heads of requests and nothing else, and drops the answers
// that fasthttp writes. After a head that was refused it has ended.
type parserConn struct{ *client }

// Read gives the bytes of the next head, as they arrive. The error is always io.EOF: the client was told what there was to tell.
func (c parserConn) Read(b []byte) (int, error) {
	n, more := c.readHead(b)
	if !more {
		return 0, io.EOF
	}
	return n, nil
}

// Write drops b.
func (c parserConn) Write(b []byte) (int, error) { return len(b), nil }

func clientOf(ctx *fasthttp.RequestCtx) *client { return ctx.Conn().(parserConn).client }
