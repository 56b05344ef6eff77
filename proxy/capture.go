package proxy

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"tether/http1"
	"tether/session"
)

// Read takes a request through all steps up to the point where it would be sent to an upstream, and returns the result. raw is the
// request as a connection delivers it, or as people keep it in a file: lines may end with LF alone, and a body needs no length.
// Unless learn is true, tether learns nothing from its opening.
func (p *Proxy) Read(raw []byte, now time.Time, learn bool) (r session.Reading) {
	s := p.settings.Load()
	var own scratch
	q, c := request{in: &own.in}, caller{search: &own.search, session: &own.session}
	c.begin(s.identifier)
	var g http1.Guard
	body, err := q.readCapture(&g, raw, s)
	if err != nil {
		return session.Reading{Status: faultOfGuard(err).status, Refused: err.Error()}
	}
	q.in.read(q.head.fields, g.Lines, c.search, s.finals, s.keys != nil, false)
	q.unread = len(body) > 0
	f := s.admit(&q, &c)
	if !learn {
		r.Found = c.search.Trace()
	}
	if f == nil && !q.is(realtimeAPI) { // after a handshake there is no body
		f = q.takeBody(body, int64(s.MaxBody))
	}
	if f != nil {
		r.Status, r.Refused = f.status, f.message
		c.identifyRefused()
		r.Source = c.session.Source
		return r
	}
	r.Method, r.Path = q.endpoint.method, q.endpoint.name
	r.Local = s.cors != nil && q.isPreflight() || q.is(healthAPI) || q.is(modelAPI) || q.is(modelsAPI) && knowsModels(p.registry)
	r.Request = c.identify(&q, p.router, p.openings, now)
	r.Note = note(&q, &c, r.Local)
	if !r.Local && p.router.Unserved(r.Request.Model) {
		r.Status, r.Refused = unservedModel(p.router, s.identifier).status, "the configuration names no upstream for its model"
	}
	r.Source, r.Wide = c.session.Source, c.session.Wide
	return r
}

// note says what decides where the request goes, besides its session.
func note(q *request, c *caller, local bool) string {
	switch {
	case local:
		return "tether answers this by itself"
	case !q.endpoint.hasAffinity():
		return "calls of this path have no affinity"
	case q.in.off:
		return "the request wants no affinity: X-Tether-Affinity: off"
	case len(c.namedResponse(q)) > 0:
		return "it is about a stored response: it goes to the server that made the response; if that is unknown, by its session, or else by the response's id"
	case q.endpoint.drawsID() && !c.search.IsJSON && !q.is(realtimeAPI):
		return "the body is no JSON object: tether finds no id in it, and makes none up"
	}
	return ""
}

// errNoHead says that a capture ends within the head.
var errNoHead = errors.New("no whole request head")

// readCapture makes the head of raw that of the request, and gives the bytes that follow it.
func (r *request) readCapture(g *http1.Guard, raw []byte, s *settings) (rest []byte, err error) {
	g.Reset(int(s.MaxHeader), s.MaxHeaders)
	text, rest := splitCapture(raw, int(s.MaxHeader))
	if _, done, err := g.Head(text); err != nil {
		return nil, err
	} else if !done {
		return nil, errNoHead
	}
	line, fields, _ := bytes.Cut(bytes.TrimPrefix(text, []byte("\r\n")), []byte("\r\n"))
	method, line, _ := bytes.Cut(line, []byte{' '})
	target, _, _ := bytes.Cut(line, []byte{' '})
	r.begin(head{method: method, target: target, fields: fields}, g)
	return rest, nil
}

// takeBody makes the bytes that follow the head the body of the request.
func (r *request) takeBody(rest []byte, limit int64) *fault {
	switch g := r.framing; {
	case g.Chunked:
		body, whole := unchunk(rest)
		if !whole {
			return faultMalformedChunks
		}
		rest = body
	case g.Length > 0:
		rest = rest[:min(g.Length, int64(len(rest)))]
	}
	if int64(len(rest)) > limit {
		return faultBodyTooLarge
	}
	r.body.bytes = rest
	return nil
}

// splitCapture cuts a request into its head, whose lines end with CRLF then, and the bytes after the blank line. It
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

// unchunk takes the chunked coding off a body, and reports whether all of it was there. It is more lenient than http1.Chunks, which
// is for the network, and than net/http: both want a CRLF after the data of a chunk, and in a file that may be an LF.
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
