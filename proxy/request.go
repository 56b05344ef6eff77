package proxy

import (
	"bytes"
	"cmp"
	"strings"

	"tether/http1"
	"tether/session/identity"
	"tether/upstream/transport"
)

// head is the head of a request that the guard let pass, as it was sent. The slices lie in a buffer that lasts as long as the exchange.
type head struct {
	method, target []byte
	fields         []byte // the header lines, with a CRLF each
}

// request is what a client asks for.
type request struct {
	head      head         // its target is path and query, without scheme and authority
	framing   *http1.Guard // what the guard found out about the head
	in        *inbound     // of the scratch
	endpoint  *endpoint    // nil without a match
	pathID    []byte       // of a stored response or a model, as it was sent
	allowed   string       // the methods of the path, where the request's is not among them
	socketKey []byte       // of a WebSocket's handshake
	requestID []byte
	newID     [36]byte // that requestID lies in, unless the client sent one
	account   *account // of the address behind a trusted proxy, nil for other requests
	body      body
	unread    bool // the body is still on the connection, or a part of it
	final     bool // the conversation is over with this request
}

// begin makes r the request of a head that g let pass.
func (r *request) begin(h head, g *http1.Guard) {
	h.target = h.target[g.Path:]
	if g.Authority != nil && !bytes.HasPrefix(h.target, []byte{'/'}) { // an empty path is / (RFC 9110 4.2.3)
		h.target = append([]byte{'/'}, h.target...)
	}
	r.head, r.framing, r.unread = h, g, g.Chunked || g.Length > 0
}

// reset forgets the request. Its buffers stay for the next one, empty.
func (r *request) reset(b *budget) {
	if r.account != nil {
		b.release(r.account)
	}
	if r.in != nil {
		r.in.reset()
	}
	*r = request{in: r.in}
}

// path is the path as it was sent, without the query.
func (r *request) path() []byte {
	path, _, _ := bytes.Cut(r.head.target, []byte{'?'})
	return path
}

// query is the query as it was sent.
func (r *request) query() []byte {
	_, query, _ := bytes.Cut(r.head.target, []byte{'?'})
	return query
}

// is reports whether r is a call of the API a.
func (r *request) is(a api) bool { return r.endpoint != nil && r.endpoint.api == a }

// hasAffinity reports whether the session of the request decides where the request goes.
func (r *request) hasAffinity() bool { return r.endpoint.hasAffinity() && !r.in.off }

// api is the API of the call, statelessAPI for a path that is not served.
func (r *request) api() api {
	if r.endpoint == nil {
		return statelessAPI
	}
	return r.endpoint.api
}

// isPreflight reports whether a browser asks for another request whether it may send it. Such a request has no key and no body.
func (r *request) isPreflight() bool {
	return string(r.head.method) == "OPTIONS" && r.in.preflight() && !r.unread
}

func (r *request) isHEAD() bool { return string(r.head.method) == "HEAD" }

// hasBody reports whether the upstream is told the length of a body.
func (r *request) hasBody() bool {
	return r.framing.Chunked || r.framing.Length > 0 || r.endpoint.method == "POST"
}

// find looks up the endpoint, and checks what it wants of a head. x are the paths that are exposed beside endpoints.
func (r *request) find(x exposed) *fault {
	var methods []string
	r.endpoint, r.pathID, methods = x.find(r.head.method, r.path())
	switch {
	case r.endpoint == nil && methods != nil:
		r.allowed = strings.Join(methods, ", ")
		if string(r.head.method) == "GET" && r.framing.AsksWebSocket(r.head.fields) {
			return faultNoWebSocket
		}
		return faultMethod
	case r.endpoint == nil:
		return cmp.Or(unexposed[string(r.head.method)+" "+string(r.path())], faultNotFound)
	case r.endpoint.api == realtimeAPI:
		return r.handshake()
	}
	return nil
}

// handshake checks the handshake of a WebSocket.
func (r *request) handshake() *fault {
	var err error
	switch r.socketKey, err = r.framing.Handshake(r.head.fields); err {
	case http1.ErrNoWebSocket:
		return faultUpgrade
	case http1.ErrHandshake:
		return faultWebSocket
	}
	return nil
}

// readBody reads the body from the client, within the limits of a request and of all bodies. It may wait for the client.
func (r *request) readBody(c *client, b *budget, s *settings) *fault {
	owner := c.account
	if r.account != nil {
		owner = r.account
	}
	r.body = body{budget: b, limits: &s.bodies, account: owner, rate: int64(s.MinBodyRate)}
	f := r.body.read(c, int64(s.MaxBody))
	r.unread = f != nil
	return f
}

// sent is the body as the upstream gets it: e replaces an alias of a model in it, nothing else differs.
func (r *request) sent(e *identity.Edit) transport.Body {
	b := r.body.bytes
	if len(e.Text) == 0 {
		return transport.Body{b}
	}
	return transport.Body{b[:e.From], e.Text, b[e.To:]}
}
