package proxy

import (
	"bytes"
	"strings"

	"tether/http1"
)

// guard decides whether the request may come in at all. What the connection's guard refused never gets here: the
// head is well-formed.
func (x *exchange) guard() *fault {
	x.in.read(x.head.fields, &x.search, x.p.keys != nil, x.c.trusted)
	x.requestID = x.in.requestIDOf(&x.newID)
	if x.in.trusted {
		x.account = x.p.budget.account(x.in.client(x.c.address, x.p.trusted))
	}
	if f := x.admit(&x.c.guard, x.head.fields); f != nil {
		return f
	}
	if x.p.inFlight.Load() >= int64(x.p.cfg.MaxInFlight) {
		return errTooManyRequests
	}
	return nil
}

// enter counts the request in flight, now that all of it is here: one that does not come on takes nobody's place.
func (x *exchange) enter() *fault {
	if x.c.waitingSince.Swap(0) == 0 {
		return errClientLeft // its connection was closed for another one
	}
	x.counted = true
	if x.p.inFlight.Add(1) > int64(x.p.cfg.MaxInFlight) {
		return errTooManyRequests
	}
	return nil
}

// admit finds the request's call, and whose request it is. A stranger learns nothing of which calls there are.
func (x *exchange) admit(g *http1.Guard, fields []byte) *fault {
	f := x.find(g, fields)
	if x.endpoint != nil {
		x.rec.Route = x.endpoint.name
	}
	if stranger := x.authorize(); stranger != nil {
		x.allowed = ""
		return stranger
	}
	return f
}

// find looks the request's call up in the list of those that are let through, and checks what its route wants of a head.
func (x *exchange) find(g *http1.Guard, fields []byte) *fault {
	path, _, _ := bytes.Cut(x.target, []byte{'?'})
	x.rec.Method, x.rec.Path = x.head.method, path
	var methods []string
	x.endpoint, x.responseID, methods = x.p.exposed.find(x.head.method, path)
	switch {
	case x.endpoint == nil && methods != nil:
		x.allowed = strings.Join(methods, ", ")
		return errMethod
	case x.endpoint == nil:
		return errNotFound
	}
	if x.endpoint.api == realtimeAPI {
		return x.handshake(g, fields)
	}
	return nil
}

// handshake checks the handshake of a WebSocket. Whatever it comes to, its connection takes no other request: bytes that
// a client sends behind it are meant for the WebSocket, and may be anybody's.
func (x *exchange) handshake(g *http1.Guard, fields []byte) (f *fault) {
	x.closing = true
	var err error
	switch x.socketKey, err = g.Handshake(fields); err {
	case http1.ErrNoWebSocket:
		return errUpgrade
	case http1.ErrHandshake:
		return errWebSocket
	}
	return nil
}
