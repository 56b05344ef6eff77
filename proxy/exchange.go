package proxy

import (
	"bytes"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"tether/failure"
	"tether/session"
	"tether/upstream"
	"tether/wire"
)

// exchange is one request on its way to an upstream, and its answer on the way back. run is its story. What lives and dies together is
// one part, with its own reset:
//
//	req      what is asked: head, endpoint, body
//	caller   who asks, in which conversation
//	route    which upstreams are next, and the session's pin
//	tries    how the attempts so far ended
//	attempt  the present one: connection and answer of an upstream
//	relay    the answer on its way to the client
//	rec      how it ended, for metrics and log
//
// These steps wait for the client, an upstream or health: request.readBody, Proxy.awaitVerdicts, attempt.ask, outcome and drop, respond,
// tunnel, and write. No other step does.
//
// An exchange is used for one request after another: begin and end frame each.
type exchange struct {
	p        *Proxy
	settings *settings // of this request
	client   *client
	now      time.Time // after the last step that waited: those up to the next one share it

	req     request
	caller  caller
	route   session.Route
	tries   attempts
	attempt attempt
	relay   relay
	rec     Record
	reply   []byte // the head to the client

	counted bool // in the proxy's requests in flight
	written bool // something was sent to the client
	closing bool // the client's connection ends with this answer
}

func newExchange(p *Proxy) *exchange {
	x := &exchange{p: p, reply: make([]byte, 0, 4<<10)}
	x.attempt.head = make([]byte, 0, 4<<10)
	x.relay.received, x.relay.finished, x.relay.learned = x.received, x.finished, x.learned
	x.relay.generates = func() { x.route.Generated(x.relay.generated) }
	x.relay.show = x.relay.see
	x.attempt.onInterim = x.attempt.passInterim
	return x
}

// handle serves one request of c, and reports whether the connection must be closed. The head is complete, and the body is still
// on the connection.
func (p *Proxy) handle(c *client, h head) (closing bool) {
	x := p.exchanges.Get().(*exchange)
	x.begin(c, h)
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("panic in a request", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			x.fail(faultPanic)
		}
		closing = x.end()
		p.exchanges.Put(x)
	}()
	if f := x.run(); f != nil {
		x.fail(f)
	}
	return // as end says
}

// run takes the request through its steps, and stops at the first that has a fault to answer.
func (x *exchange) run() *fault {
	if f := x.guard(); f != nil {
		return f
	}
	switch {
	case x.req.is(healthAPI):
		x.answer(healthStatus(x.p.Ready()), nil)
		return nil
	case x.settings.cors != nil && x.req.isPreflight():
		x.answer(204, nil)
		return nil
	}
	if f := x.req.readBody(x.client, x.p.budget, x.settings); f != nil {
		return f
	}
	x.rec.BytesIn = int64(len(x.req.body.bytes))
	if x.req.body.buf != nil { // otherwise the body arrived with the head
		x.now = time.Now()
	}
	if f := x.enter(); f != nil {
		return f
	}
	if !x.p.ready.Load() {
		if f := x.p.awaitVerdicts(x.client); f != nil {
			return f
		}
		x.now = time.Now()
	}
	if body, own, f := x.p.ownAnswer(&x.req, x.settings); own {
		if f == nil {
			x.answer(200, body)
		}
		return f
	}
	to := x.caller.identify(&x.req, x.p.router, x.p.openings, x.now)
	if x.p.router.Unserved(to.Model) {
		return unservedModel(x.p.router, x.settings.identifier)
	}
	x.p.router.Start(&x.route, to, x.now)
	if f := x.forward(); f != nil {
		return f
	}
	if x.attempt.answer.Status == 101 {
		x.tunnel()
	} else {
		x.respond()
	}
	return nil
}

// awaitVerdicts makes requests wait that arrive before health has its first verdicts: otherwise a start would pin
// all sessions to the server that answers first.
func (p *Proxy) awaitVerdicts(c *client) *fault {
	left := make(chan struct{})
	if !c.Bind(aborter(func() { close(left) })) {
		return faultClientGone
	}
	select {
	case <-p.verdicts:
		p.ready.Store(true)
	case <-left:
	}
	if c.Unbind() {
		return faultClientGone
	}
	return nil
}

// forward tries upstreams until one has an answer for the client, or the rules of retry.go end it.
func (x *exchange) forward() *fault {
	t := &x.tries
	t.begin(len(x.caller.namedResponse(&x.req)) > 0, x.caller.search.Background)
	var u *upstream.Upstream
	next := tryNext
	for next != fail && t.count < x.settings.MaxAttempts {
		if next == tryNext {
			if u = x.route.Next(x.now); u == nil {
				break
			}
			t.replayed = false
		}
		if next = x.try(u); next == relayAnswer {
			return nil
		}
	}
	t.full, t.shed = x.route.Unanswered(x.now)
	return t.fault()
}

// try makes one attempt at u and says what follows it. With relayAnswer, the attempt has the answer; otherwise it has no connection.
func (x *exchange) try(u *upstream.Upstream) verdict {
	a, t := &x.attempt, &x.tries
	a.begin(u, x.now)
	o := outbound{request: &x.req, client: x.client, session: &x.caller.session, body: x.req.sent(&x.caller.search.Edit)}
	k := failure.Of(a.ask(&o, t.replayed, x.settings, &x.now))
	if k == failure.None {
		k = a.outcome(x.now, x.settings.IdleTimeout)
	}
	next := t.after(k)
	consequences[k].apply(u, &x.route, x.now)
	if consequences[k].charged || k == failure.None && a.answer.Status >= 400 {
		x.route.Failed(x.now.Sub(a.began), x.now)
	}
	if a.conn != nil && (next == relayAnswer || t.count == x.settings.MaxAttempts || !x.route.More()) {
		t.note(u, failure.None)
		return relayAnswer
	}
	t.note(u, k)
	a.drop(x.client)
	return next
}

func (x *exchange) begin(c *client, h head) {
	x.settings, x.client = x.p.settings.Load(), c
	x.req.begin(h, &c.guard)
	x.caller.begin(x.settings.identifier)
	x.rec = Record{Started: c.begun}
	x.now = c.headed
	x.written, x.closing = false, !c.guard.KeepAlive()
}

// end gives back all that the exchange holds, and reports whether the connection must be closed. It is the one
// way out of every exchange.
func (x *exchange) end() (closing bool) {
	now := time.Now()
	c := x.client
	x.attempt.drop(c) // after a panic
	x.route.End(now)
	x.req.body.free()
	if x.counted {
		x.p.inFlight.Add(-1)
		x.counted = false
	}
	x.caller.leave()
	x.record(now)
	status := x.rec.Status
	x.req.reset(x.p.budget)
	x.caller.reset()
	x.route = session.Route{}
	x.tries.reset()
	x.attempt.reset()
	x.relay.reset()
	x.rec = Record{}
	clear(x.reply)
	x.client, x.settings = nil, nil
	switch {
	case !x.closing:
		c.next(now)
	case status != StatusClientLeft:
		c.linger()
	}
	return x.closing
}

// fields are what tether adds to the answer.
func (x *exchange) fields() answerFields {
	f := answerFields{
		wait: x.caller.wait, sessionID: x.caller.session.ID(), requestID: x.req.requestID, outcome: outcomeOf(&x.tries, &x.route),
		allow: x.req.allowed, connection: x.client.connection(x.closing), cors: x.settings.cors, origin: x.req.in.origin,
	}
	if u := x.route.Last(); u != nil {
		f.prefix = u.Address().Prefix
		if x.settings.ExposeUpstream {
			f.upstream = u.Name()
		}
	}
	return f
}

// outcomeOf is the outcome of affinity: none without an attempt.
func outcomeOf(t *attempts, r *session.Route) session.Outcome {
	if t.count == 0 {
		return session.None
	}
	return r.Outcome()
}

// answer answers with a JSON body of tether's own, or a preflight with 204.
func (x *exchange) answer(status int, body []byte) {
	x.caller.identifyRefused()
	x.rec.Status = status
	x.closing = x.closing || x.p.closing.Load() || x.req.unread
	x.rec.BytesOut = int64(len(body))
	x.reply = appendOwnHead(x.reply[:0], status, len(body), x.fields())
	if status == 204 {
		x.reply = x.settings.cors.appendPreflight(x.reply, x.req.in.asksHeaders)
	}
	x.reply = append(x.reply, "\r\n"...)
	x.write(append(x.reply, body...))
}

// fail answers with a fault, if it is not too late for an answer.
func (x *exchange) fail(f *fault) {
	x.rec.Reason = f.reason
	if x.written {
		x.closing = true
		return
	}
	x.rec.Status = f.status
	if f == faultClientGone {
		x.closing = true
		return
	}
	x.caller.identifyRefused()
	x.closing = x.closing || x.p.closing.Load() || x.req.unread || f == faultPanic
	x.reply = appendFault(x.reply[:0], f, x.fields(), x.req.api())
	answer := x.reply
	if x.req.isHEAD() {
		answer = answer[:bytes.Index(answer, []byte("\r\n\r\n"))+4]
	}
	x.write(answer)
}

// write sends to the client. A failure means that the client left, which the record tells.
func (x *exchange) write(b []byte) bool {
	x.written = true
	if err := x.client.send(b); err != nil {
		x.rec.Reason = lostBy(err).reason
		x.closing = true
		return false
	}
	return true
}

// lostBy tells a client that left from one that takes nothing, by the error of a write to it.
func lostBy(err error) *fault {
	if wire.Stalled(err) {
		return faultClientStalled
	}
	return faultClientGone
}
