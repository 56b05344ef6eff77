package proxy

import (
	"time"

	"tether/auth"
	"tether/session"
	"tether/session/identity"
	"tether/session/openings"
)

// caller is who asks, and in which conversation.
type caller struct {
	identifier *identity.Identifier // that search works with
	search     *identity.Search     // of the scratch
	session    *identity.Identity   // of the scratch
	model      []byte               // that the request names
	media      int                  // pictures and recordings in the body
	mediaBytes int                  // of these
	isJSON     bool                 // the body is a JSON object
	firstTurn  bool                 // the body has a conversation without an answer
	follows    bool                 // the body names the response before
	key        identity.Key         // of the session's pin, zero without one
	stored     identity.Caller      // for stored responses: only their own callers find them
	owner      *auth.Caller         // of the API key, nil without one
	identified bool                 // session is known
	entered    bool                 // counted for owner
	wait       time.Duration        // until owner may begin another request, if the owner's rate refused this one
}

// begin makes c ready for a request. reset has forgotten the one before.
func (c *caller) begin(id *identity.Identifier) {
	if c.identifier != id {
		c.identifier = id
		c.search.Begin(id)
	}
}

// reset forgets the request. No session id outlives its request in memory.
func (c *caller) reset() {
	if c.search != nil {
		c.forget()
	}
	c.key, c.stored, c.owner, c.identified, c.wait = identity.Key{}, identity.Caller{}, nil, false, 0
	c.model, c.media, c.mediaBytes, c.isJSON, c.firstTurn, c.follows = c.model[:0], 0, 0, false, false, false
}

// forget forgets what the scratch has of the caller.
func (c *caller) forget() {
	c.session.Reset()
	c.search.Begin(c.identifier)
}

// name is the name of the API key, "" without one.
func (c *caller) name() string {
	if c.owner == nil {
		return ""
	}
	return c.owner.Name()
}

// identify finds the session of the request, and what the router needs to know.
func (c *caller) identify(r *request, router *session.Router, known *openings.Table, now time.Time) session.Request {
	c.identified = true
	if r.endpoint.aboutResponses() {
		c.stored = c.search.Caller()
	}
	c.readBody(r)
	if !r.hasAffinity() {
		c.search.Identify(c.session, false, nil, now)
		to := session.Request{Model: c.model}
		c.measure(r, &to)
		return to
	}
	c.search.Identify(c.session, r.endpoint.drawsID(), known, now)
	to := session.Request{Synthetic: c.session.Synthetic(), Shared: c.session.Shared, Subagent: c.session.Subagent, Model: c.model}
	switch id := c.session.ID(); {
	case len(id) == 0:
	case r.is(storedAPI): // it names no model
		key, model := router.AnyKey(c.identifier, id, now)
		to.Key, to.Model, to.ModelGuessed = key, []byte(model), true
	default:
		to.Key = c.identifier.Key(c.model, id)
	}
	// An id that counts more than the opening may belong to examples that stand before the first question.
	to.FollowUp = c.search.SecondTurn && !c.session.Wide
	to.Continues = c.search.Continues
	if response := c.namedResponse(r); len(response) > 0 {
		to.Response = c.identifier.Response(c.stored, response)
		to.FollowUp = r.is(responsesAPI)
	}
	c.key = to.Key
	c.measure(r, &to)
	return to
}

// measure tells the router how much work the request is.
func (c *caller) measure(r *request, to *session.Request) {
	to.Bytes, to.Media = int64(len(r.body.bytes)-c.mediaBytes), c.media
	to.Streams = c.search.Streams || r.is(realtimeAPI)
}

// identifyRefused finds the session of a request that is refused before identify, by the head and what else was read of the request:
// its answer shows the id as well.
func (c *caller) identifyRefused() {
	if !c.identified {
		c.identified = true
		c.search.Identify(c.session, false, nil, time.Time{})
	}
}

// readBody shows the search the body, or the query that stands for it.
func (c *caller) readBody(r *request) {
	shape := identity.Opaque
	if r.hasAffinity() {
		shape = r.endpoint.shape()
	}
	boundary := r.in.boundary()
	switch {
	case r.is(realtimeAPI):
		c.search.Query(r.query())
	case boundary != "":
		c.search.Form(r.body.bytes, boundary)
	default:
		c.search.Body(r.body.bytes, shape)
	}
	c.model = append(c.model[:0], c.search.Model...)
	c.media, c.mediaBytes = c.search.Files.Count, c.search.Files.Bytes
	c.isJSON, c.firstTurn, c.follows = c.search.IsJSON, c.search.FirstTurn, len(c.search.Previous) > 0
}

// namedResponse is the id of the stored response that the request is about or follows, nil without one. One server has it.
func (c *caller) namedResponse(r *request) []byte {
	switch r.endpoint.api {
	case storedAPI:
		return r.pathID
	case responsesAPI:
		return c.search.Previous
	}
	return nil
}
