package proxy

import (
	"bytes"

	"tether/session"
)

// identify finds the session of the request, and what the router shall make of it.
func (x *exchange) identify() session.Ask {
	x.identified = true
	if x.route.aboutResponses() {
		x.caller = x.search.Caller()
	}
	if !x.route.affinity || x.in.off {
		x.read(session.Opaque)
		x.search.Identify(&x.identity, false)
		return session.Ask{Model: x.search.Model}
	}
	x.read(x.route.shape)
	x.search.Identify(&x.identity, x.route.random)
	ask := session.Ask{Made: x.identity.Made, Shared: x.identity.Shared, Model: x.search.Model}
	switch id := x.identity.ID(); {
	case len(id) == 0:
	case x.route.byResponse:
		x.guessKey(&ask, id)
	default:
		ask.Key = x.p.identifier.Key(x.search.Model, id)
	}
	if response := x.namedResponse(); len(response) > 0 {
		ask.Response = x.p.identifier.Response(x.caller, response)
	}
	x.rec.Key = ask.Key
	return ask
}

// read shows the search the body, as what it is, or what stands for it.
func (x *exchange) read(shape session.Shape) {
	if x.route.tunnel {
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
func (x *exchange) guessKey(ask *session.Ask, id []byte) {
	key, model := x.p.router.AnyKey(x.p.identifier, id, x.now)
	ask.Key, ask.Model, ask.Guessed = key, []byte(model), true
}

// namedResponse is the id of the response that the request is about or follows, which lives on one server.
func (x *exchange) namedResponse() []byte {
	switch {
	case x.route.byResponse:
		return x.responseID
	case x.route.aboutResponses():
		return x.search.Previous
	}
	return nil
}
