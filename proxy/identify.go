package proxy

import (
	"bytes"

	"tether/session"
	"tether/session/identity"
)

// identify finds the session of the request, and what the router shall make of it.
func (x *exchange) identify() session.Request {
	x.identified = true
	if x.endpoint.aboutResponses() {
		x.caller = x.search.Caller()
	}
	if !x.endpoint.hasAffinity() || x.in.off {
		x.read(identity.Opaque)
		x.search.Identify(&x.identity, false)
		return session.Request{Model: x.search.Model}
	}
	x.read(x.endpoint.shape())
	x.search.Identify(&x.identity, x.endpoint.drawsID())
	req := session.Request{Synthetic: x.identity.Synthetic(), Shared: x.identity.Shared, Model: x.search.Model}
	switch id := x.identity.ID(); {
	case len(id) == 0:
	case x.endpoint.api == storedAPI:
		x.guessKey(&req, id)
	default:
		req.Key = x.p.identifier.Key(x.search.Model, id)
	}
	if response := x.namedResponse(); len(response) > 0 {
		req.Response = x.p.identifier.Response(x.caller, response)
	}
	x.rec.Key = req.Key
	return req
}

// read shows the search the body, as what it is, or what stands for it.
func (x *exchange) read(shape identity.Shape) {
	if x.endpoint.api == realtimeAPI {
		_, query, _ := bytes.Cut(x.target, []byte{'?'})
		x.search.Query(query)
		return
	}
	if boundary := x.in.boundary(); boundary != "" {
		x.search.Form(x.body.bytes, boundary)
		return
	}
	x.search.Body(x.body.bytes, shape)
}

// guessKey finds a key for a call about a response, which names no model.
func (x *exchange) guessKey(req *session.Request, id []byte) {
	key, model := x.p.router.AnyKey(x.p.identifier, id, x.now)
	req.Key, req.Model, req.ModelGuessed = key, []byte(model), true
}

// namedResponse is the id of the response that the request is about or follows, which lives on one server.
func (x *exchange) namedResponse() []byte {
	switch {
	case x.endpoint.api == storedAPI:
		return x.responseID
	case x.endpoint.aboutResponses():
		return x.search.Previous
	}
	return nil
}
