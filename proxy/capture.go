package proxy

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"tether/http1"
	"tether/session"
)

// Read tells what becomes of a request up to where it would be sent to somebody. raw is the request as it comes over
// a connection, or as people keep one in a file: lines may end with LF alone, and a body may do without a length.
func (p *Proxy) Read(raw []byte) (r session.Reading) {
	x := &exchange{p: p, now: time.Now()}
	x.search.Begin(p.identifier)
	var g http1.Guard
	fields, body, err := x.takeHead(&g, raw)
	if err != nil {
		return session.Reading{Status: faultOfGuard(err).status, Refused: err.Error()}
	}
	x.bodyRead = len(body) == 0
	f := x.admit(&g, fields)
	r.Found = x.search.Trace()
	if f == nil && x.endpoint.api != realtimeAPI { // behind a handshake there is no body
		f = x.takeBody(&g, body)
	}
	if f != nil {
		r.Status, r.Refused = f.status, f.message
		x.search.Identify(&x.identity, false)
	} else {
		r.Method, r.Path = x.endpoint.method, x.endpoint.name
		r.Local = x.endpoint.api == modelsAPI && p.knowsModels()
		r.Request = x.identify()
		r.Note = x.note(r.Local)
		if !r.Local && p.router.Unserved(r.Request.Model) {
			f = p.unservedModel()
			r.Status, r.Refused = f.status, "the configuration names no upstream for its model"
		}
	}
	r.Source = x.identity.Source
	return r
}

// note says what of the request, other than its session, decides where it goes.
func (x *exchange) note(local bool) string {
	switch {
	case local:
		return "tether answers this by itself"
	case !x.endpoint.hasAffinity():
		return "calls of this path have no affinity"
	case x.in.off:
		return "the request wants no affinity: X-Tether-Affinity: off"
	case len(x.namedResponse()) > 0:
		return "it is about a stored response: it goes where that was made, and where that is not known by its session, or else by the response's id"
	case x.endpoint.drawsID() && !x.search.IsJSON && x.endpoint.api != realtimeAPI:
		return "the body is no JSON object: nothing is looked for in it, and no id is made"
	}
	return ""
}

// errNoHead tells that a capture ends within the head.
var errNoHead = errors.New("no whole request head")

// takeHead makes the head of raw that of the exchange, and gives its fields and what follows it.
func (x *exchange) takeHead(g *http1.Guard, raw []byte) (fields, rest []byte, err error) {
	g.Reset(int(x.p.cfg.MaxHeader), x.p.cfg.MaxHeaders)
	head, rest := splitCapture(raw, int(x.p.cfg.MaxHeader))
	if _, done, err := g.Head(head); err != nil {
		return nil, nil, err
	} else if !done {
		return nil, nil, errNoHead
	}
	line, fields, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("\r\n")), []byte("\r\n"))
	method, line, _ := bytes.Cut(line, []byte{' '})
	target, _, _ := bytes.Cut(line, []byte{' '})
	x.head.method = method
	x.target = target[g.Path:]
	x.in.read(fields, &x.search, x.p.keys != nil, false)
	return fields, rest, nil
}

// takeBody makes what follows the head the body of the exchange.
func (x *exchange) takeBody(g *http1.Guard, rest []byte) *fault {
	switch {
	case g.Chunked:
		body, whole := unchunk(rest)
		if !whole {
			return errMalformedChunks
		}
		rest = body
	case g.Length > 0:
		rest = rest[:min(g.Length, int64(len(rest)))]
	}
	if int64(len(rest)) > int64(x.p.cfg.MaxBody) {
		return errBodyTooLarge
	}
	x.body.bytes = rest
	return nil
}

// splitCapture cuts a request into its head, whose lines end with CRLF then, and what follows the blank line. It
// reads no further than it must to see that the head has more than max bytes.
func splitCapture(raw []byte, max int) (head, rest []byte) {
	for rest = raw; len(rest) > 0 && len(head) <= max; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		first := len(head) == 0 // an empty line may come before the request line
		head = append(append(head, line...), "\r\n"...)
		if len(line) == 0 && !first {
			return head, rest
		}
	}
	return append(head, "\r\n"...), nil
}

// unchunk takes the chunked coding off a body, and reports whether all of it was there. http1.Chunks, which is for
// what comes from the network, takes no LF alone.
func unchunk(rest []byte) (body []byte, whole bool) {
	for {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		size, _, _ := bytes.Cut(line, []byte{';'})
		n, err := strconv.ParseUint(string(bytes.TrimSuffix(size, []byte{'\r'})), 16, 32)
		switch {
		case err != nil || n > uint64(len(after)):
			return nil, false
		case n == 0:
			return body, true
		}
		body = append(body, after[:n]...)
		rest = bytes.TrimPrefix(bytes.TrimPrefix(after[n:], []byte{'\r'}), []byte{'\n'})
	}
}
