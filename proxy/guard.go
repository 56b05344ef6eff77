package proxy

// guard decides whether the request is served at all. The client's guard has refused malformed heads before.
func (x *exchange) guard() *fault {
	r, s := &x.req, x.settings
	r.in.read(r.head.fields, r.framing.Lines, x.caller.search, s.finals, s.keys != nil, contains(s.trusted, x.client.address))
	x.rec.Trace = x.p.traces.Begin(r.in.traceparent)
	r.final = r.in.final
	if r.framing.Authority != nil { // which counts, not Host (RFC 9112 3.2.2)
		r.in.host = r.framing.Authority
	}
	r.requestID = r.in.requestIDOf(&r.newID)
	if r.in.trusted {
		r.account = x.p.budget.account(r.in.client(x.client.address, s.trusted))
	}
	f := s.admit(r, &x.caller)
	// A connection that sent a handshake takes no other request, whatever the answer: bytes that a client sends after it are meant
	// for the WebSocket, and others may have chosen them.
	x.closing = x.closing || r.is(realtimeAPI) || f == faultNoWebSocket
	if f == nil && !r.is(healthAPI) && x.p.inFlight.Load() >= int64(s.MaxInFlight) && !x.client.hasBody() { // enter refuses a request that is here as a whole
		return faultTooManyRequests
	}
	if f == nil && !x.client.hasBody() {
		return x.caller.refusal(x.now)
	}
	return f
}

// admit matches the endpoint and authenticates the caller. Authentication failures win over 404 and 405, so that outsiders cannot
// enumerate endpoints. A preflight is for tether where cors_origins is set, whatever its path: the browser shall show the page
// what is wrong with the request to come.
func (s *settings) admit(r *request, c *caller) *fault {
	if s.cors != nil && r.isPreflight() {
		r.endpoint = preflightEndpoint
		if !s.cors.allows(r.in.origin) {
			return faultOrigin
		}
		return nil
	}
	f := r.find(s.exposed)
	if stranger := c.authorize(r, s.keys); stranger != nil {
		r.allowed = ""
		return stranger
	}
	return f
}

// enter counts the request in flight, now that all of it has arrived: a request that stops halfway takes no place of another.
func (x *exchange) enter() *fault {
	if x.client.waitingSince.Swap(0) == 0 {
		return faultClientGone // its connection was closed in favour of another one
	}
	x.counted = true
	if x.p.inFlight.Add(1) > int64(x.settings.MaxInFlight) {
		x.caller.readBody(&x.req)
		return faultTooManyRequests
	}
	if f := x.caller.enter(x.now); f != nil {
		x.caller.readBody(&x.req)
		return f
	}
	return nil
}
