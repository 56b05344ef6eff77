package proxy

import (
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"tether/failure"
	"tether/session"
	"tether/upstream"
	"tether/wire"
	"tether/wire/loop"
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
// These steps wait for the client, an upstream or health: request.readBody, Proxy.awaitVerdicts, attempt.request, await, outcome and drop,
// respond, tunnel, and write. No other step does. On the thread of a loop none of them waits: see loop.go.
//
// An exchange is used for one request after another: begin and end frame each. What each event of a stream needs comes first, as most of an
// event's time is that of memory that is not in the processor's caches.
type exchange struct {
	p        *Proxy
	settings *settings // of this request
	client   *client
	toClient loop.Driven // the client's connection, as its loop drives it; nil without a loop
	now      time.Time   // after the last step that waited: those up to the next one share it

	phase     phase     // while a loop drives the exchange
	onLoop    bool      // the thread of a loop takes the steps
	slow      bool      // the upstream is not read on until the client has taken what it was sent
	over      wire.End  // how the relay ended
	next      verdict   // what is tried next
	counted   bool      // in the proxy's requests in flight
	written   bool      // something was sent to the client
	closing   bool      // the client's connection ends with this answer
	listening time.Time // when the upstream's silence began that is waited for

	attempt attempt
	relay   relay
	route   session.Route
	req     request
	caller  caller
	tries   attempts
	rec     Record
	scratch *scratch // nil once it is given back, and between requests perhaps
	reply   []byte   // the head to the client, in the scratch
	text    headText // the memory of the head that is asked

	up  *upstream.Upstream // that is tried
	err error              // of the end of the relay
}

func newExchange(p *Proxy) *exchange {
	x := &exchange{p: p}
	d := delivery{x}
	x.relay.received, x.relay.finished, x.relay.learned = d.received, d.finished, d.learned
	x.relay.generates = func() { x.route.Generated(x.relay.generated) }
	x.relay.show = x.relay.see
	x.attempt.onInterim = x.attempt.passInterim
	return x
}

// fate is what becomes of a client's connection after a step of an exchange.
type fate uint8

const (
	kept   fate = iota // for the next request
	closed             // the connection must be closed
	handed             // a loop or another goroutine goes on with the exchange, which must not be touched any more
)

// serve serves one request of c. The head is complete, and the body is still on the connection, or in c.rest.
func (x *exchange) serve(c *client, h head) fate {
	x.begin(c, h)
	return x.take((*exchange).run)
}

// step is a step of an exchange. handed says that another thread goes on with the exchange.
type step func(*exchange) (f *fault, handed bool)

// take takes a step of the exchange, and ends the exchange after it unless another thread goes on. A panic ends this exchange
// alone.
func (x *exchange) take(s step) (end fate) {
	defer func() {
		if r := recover(); r != nil {
			x.p.log.Error("panic in a request", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			end = x.complete(faultPanic)
		}
	}()
	f, away := s(x)
	if away {
		return handed
	}
	return x.complete(f)
}

// complete ends the exchange, with a fault unless f is nil. On a loop, the exchange ends once its answer is sent.
func (x *exchange) complete(f *fault) fate {
	if f != nil {
		x.fail(f)
	}
	switch {
	case x.onLoop && x.closing: // closing may take a while
		driven{x}.goOn(afterAnswer)
		return handed
	case x.onLoop && x.toClient.Sending():
		x.phase = draining
		return handed
	}
	p, closing := x.p, x.end()
	p.exchanges.Put(x)
	if closing {
		return closed
	}
	return kept
}

// run takes the request through its steps, and stops at the first that has a fault to answer. handed says that another thread goes
// on.
func (x *exchange) run() (f *fault, handed bool) {
	if f, done := x.prepare(); f != nil || done {
		return f, false
	}
	x.tries.begin(len(x.caller.namedResponse(&x.req)) > 0, x.caller.search.Background)
	x.next = tryNext
	return x.forward()
}

// prepare takes the steps before an upstream is asked. done says that the request is answered.
func (x *exchange) prepare() (f *fault, done bool) {
	if f := x.guard(); f != nil {
		return f, false
	}
	switch {
	case x.req.is(healthAPI):
		x.answer(healthStatus(x.p.Ready()), nil)
		return nil, true
	case x.settings.cors != nil && x.req.isPreflight():
		x.answer(204, nil)
		return nil, true
	}
	if f := x.req.readBody(x.client, x.p.budget, x.settings); f != nil {
		return f, false
	}
	x.rec.BytesIn = int64(len(x.req.body.bytes))
	if x.req.body.buf != nil { // otherwise the body arrived with the head
		x.now = time.Now()
	}
	if f := x.enter(); f != nil {
		return f, false
	}
	if !x.p.ready.Load() {
		if f := x.p.awaitVerdicts(x.client); f != nil {
			return f, false
		}
		x.now = time.Now()
	}
	if body, own, f := x.p.ownAnswer(&x.req, x.settings); own {
		if f == nil {
			x.answer(200, body)
		}
		return f, true
	}
	if x.req.is(finishAPI) {
		return finishSession(x), true
	}
	to := x.caller.identify(&x.req, x.p.router, x.p.openings, x.now)
	if x.p.router.Unserved(to.Model) {
		return unservedModel(x.p.router, x.settings.identifier), false
	}
	x.p.router.Start(&x.route, to, x.now)
	return nil, false
}

// forward tries upstreams until one has an answer for the client, or the rules of retry.go end it. handed says that another thread
// goes on.
func (x *exchange) forward() (f *fault, handed bool) {
	t := &x.tries
	for x.next != fail && t.count < x.settings.MaxAttempts {
		if x.next == tryNext {
			if x.up = x.route.Next(x.now); x.up == nil {
				break
			}
			t.replayed = false
		}
		x.attempt.begin(x.up, x.now)
		if x.try() {
			return nil, true
		}
		if x.next == relayAnswer {
			return x.pass()
		}
	}
	t.full, t.shed, t.waits = x.route.Unanswered(x.now)
	return t.fault(), false
}

// try makes the attempt that has begun, and sets next to what follows it. handed says that another thread goes on.
func (x *exchange) try() (handed bool) {
	a := &x.attempt
	o := outbound{
		request: &x.req, client: x.client, session: x.caller.session, body: x.req.sent(&x.caller.search.Edit),
		span: &x.rec.Trace, number: len(x.tries.tries),
	}
	err := a.request(&o, x.tries.replayed, x.onLoop, x.settings, &x.now)
	switch {
	case err == errMustDial:
		driven{x}.goOn(retry)
		return true
	case err == nil && a.looped != nil:
		driven{x}.awaitAnswer()
		return true
	case err == nil:
		err = a.await(&x.req, x.settings, &x.now)
	}
	x.judge(err)
	return false
}

// retry makes the attempt that a loop could not make.
func retry(x *exchange) (f *fault, handed bool) {
	if x.try() {
		return nil, true
	}
	return x.proceed()
}

// proceed goes on after an attempt that was judged.
func (x *exchange) proceed() (f *fault, handed bool) {
	if x.next == relayAnswer {
		return x.pass()
	}
	return x.forward()
}

// judge sets next to what follows an attempt that ended with err, nil if the head of an answer is there. With relayAnswer, the
// attempt has the answer; otherwise it has no connection.
func (x *exchange) judge(err error) {
	a, t := &x.attempt, &x.tries
	k := failure.Of(err)
	if k == failure.None {
		k = a.outcome(x.now, x.settings.IdleTimeout)
	}
	x.next = t.after(k)
	consequences[k].apply(x.up, &x.route, x.now)
	if consequences[k].charged || k == failure.None && a.answer.Status >= 400 {
		x.route.Failed(x.now.Sub(a.began), x.now)
	}
	if a.conn != nil && (x.next == relayAnswer || t.count == x.settings.MaxAttempts || !x.route.More()) {
		t.note(a, failure.None, x.now)
		x.next = relayAnswer
		return
	}
	t.note(a, k, x.now)
	a.drop(x.client)
}

// pass passes the answer of the attempt to the client.
func (x *exchange) pass() (f *fault, handed bool) {
	if x.attempt.answer.Status == 101 {
		x.tunnel()
		return nil, false
	}
	return nil, delivery{x}.respond()
}

func (x *exchange) begin(c *client, h head) {
	x.settings, x.client, x.toClient = x.p.settings.Load(), c, c.Driven()
	borrowScratch(x)
	x.req.begin(h, c.guard)
	x.caller.begin(x.settings.identifier)
	x.rec = Record{Started: c.begun}
	x.now = c.headed
	x.over = wire.Finished
	x.written, x.closing, x.onLoop = false, !c.guard.KeepAlive(), c.onLoop
}

// end gives back all that the exchange holds, and reports whether the connection must be closed. It is the one
// way out of every exchange.
func (x *exchange) end() (closing bool) {
	if !x.onLoop { // otherwise now is when the answer was sent
		x.now = time.Now()
	}
	now, c := x.now, x.client
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
	clear(x.text)
	x.client, x.toClient, x.settings, x.up, x.err = nil, nil, nil, nil, nil
	x.onLoop = false
	switch {
	case !x.closing:
		c.next(now)
	case status != StatusClientLeft:
		c.linger()
	}
	return x.closing
}
