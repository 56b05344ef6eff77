package proxy

import (
	"bytes"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"tether/session"
	"tether/session/identity"
	"tether/upstream"
	"tether/upstream/transport"
	"tether/wire"
)

// exchange is one request on its way and its answer on the way back: guard, body, identify, forward, relay or tunnel. It is
// used for one request after another; begin and end frame each.
type exchange struct {
	p    *Proxy
	c    *client
	head head
	rec  Record
	now  time.Time // after the last step that waited: those up to the next one share it

	target     []byte // path and query, as sent
	endpoint   *endpoint
	responseID []byte // in the path of a stored response
	allowed    string // methods of the path, where the request's is not among them
	socketKey  []byte // of a WebSocket's handshake

	in        inbound
	body      body
	account   *account // of the address behind a trusted proxy
	search    identity.Search
	identity  identity.Identity
	caller    identity.Caller // of a call about stored responses
	requestID []byte
	newID     [36]byte

	way     session.Route
	out     []byte             // the head to the upstream
	up      *upstream.Upstream // counted in flight there
	conn    *transport.Conn    // the attempt's or the answer's, bound to the client; nil before and after
	buf     *[]byte            // read buffer of the answer, from answerRooms
	answer  transport.Answer
	passing relaying
	tries   []Try
	usage   usage
	made    responseScan // for the id of the response that the answer is
	reply   []byte       // the head to the client

	look func([]byte) // x.see, made once

	counted    bool // in the proxy's requests in flight
	bodyRead   bool // nothing of the request is left on the connection
	identified bool // the session id was looked for
	written    bool // something was sent to the client
	closing    bool // the client's connection ends with this answer
}

// Record is what there is to say of a request once it is over. The slices and the Record itself are valid until
// the function that it is given to returns.
type Record struct {
	// Method and Path are as they were sent, the path without the query.
	Method, Path []byte
	// Route is the path on the allowlist, ids as {id}, "" where there is none.
	Route string
	// Caller is the name of the API key that it came with, "" without one.
	Caller string
	// Model is the model asked for, with an alias replaced by its model.
	Model []byte
	// Status is what the client was answered, 499 if it left before; 101 for a WebSocket, however that ended.
	Status int
	// Reason names what went wrong, "" for an answer that was passed on whole, or a WebSocket that the upstream ended.
	Reason  string
	Outcome session.Outcome
	// Source is where the session id came from, Ignored how many sources had an invalid one.
	Source  identity.Source
	Ignored int
	// Key is the session's, zero for none.
	Key identity.Key
	// Upstream is the last one tried, nil for none.
	Upstream *upstream.Upstream
	// Attempts and Replays count the tries, and those of them on a fresh connection to the same upstream. Tries are
	// they all, with those that were no attempt at an upstream.
	Attempts, Replays int
	Tries             []Try
	// Surplus tells that the request was one too many of a crowd under one made-up id.
	Surplus bool
	// PromptTokens are the tokens of the prompt, CachedTokens those of them that the server had in its prefix cache,
	// -1 where the answer does not say.
	PromptTokens, CachedTokens int
	// BytesIn and BytesOut count the bodies, BytesOut with the framing of chunks, and all that passed through a WebSocket.
	BytesIn, BytesOut int64
	// Started is when the head's first byte came; FirstByte and Duration count from then. FirstByte is that of the answer's
	// body, for vLLM sends a stream's head before it has computed anything; 0 without one, as of a WebSocket.
	Started             time.Time
	FirstByte, Duration time.Duration
	// RequestID is the X-Request-Id, TraceID the trace of traceparent, empty without one.
	RequestID, TraceID []byte
}

// IDSource is where the session id came from, in a word: a source as it stands in the configuration, random for one
// that tether made, none where there is none.
func (r *Record) IDSource() string {
	switch {
	case r.Source.Kind != 0:
		return r.Source.String()
	case r.Key != identity.Key{}:
		return "random"
	}
	return "none"
}

// ClientLeft reports whether the client left before the end of the answer, or was cut because it took nothing of it.
func (r *Record) ClientLeft() bool {
	return r.Reason == errClientLeft.reason || r.Reason == errClientStalled.reason
}

// head is the head of a request that the guard let pass, as it was sent: the slices lie in a buffer that lasts as long as the exchange.
type head struct {
	method, target []byte
	fields         []byte // the header lines, with a CRLF each
}

func (h *head) isHead() bool { return string(h.method) == "HEAD" }

// handle serves one request of c, and reports whether the connection shall be closed. The head is complete, and the body is still
// on the connection.
func (p *Proxy) handle(c *client, h head) (closing bool) {
	x := p.exchanges.Get().(*exchange)
	x.begin(c, h)
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("panic in a request", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			x.fail(errPanic)
		}
		closing = x.end()
		p.exchanges.Put(x)
	}()
	if f := x.run(); f != nil {
		x.fail(f)
	}
	return closing
}

// run takes the request through its steps, and stops at the first that has a fault to answer.
func (x *exchange) run() *fault {
	if f := x.guard(); f != nil {
		return f
	}
	if f := x.readBody(); f != nil {
		return f
	}
	if f := x.enter(); f != nil {
		return f
	}
	if f := x.awaitVerdicts(); f != nil {
		return f
	}
	if x.endpoint.api == modelsAPI && x.p.knowsModels() {
		return x.listModels()
	}
	ask := x.identify()
	if x.p.router.Unserved(ask.Model) {
		return x.p.unservedModel()
	}
	x.p.router.Start(&x.way, ask, x.now)
	return x.forward()
}

func (x *exchange) readBody() *fault {
	x.body = body{budget: x.p.budget, account: x.c.account}
	if x.account != nil { // behind a trusted proxy
		x.body.account = x.account
	}
	if f := x.body.read(x.c, int64(x.p.cfg.MaxBody)); f != nil {
		return f
	}
	if x.body.buf != nil {
		x.now = time.Now()
	}
	x.bodyRead = true
	x.rec.BytesIn = int64(len(x.body.bytes))
	return nil
}

// awaitVerdicts lets requests wait that come before health has its first verdicts: else a start would pin
// everybody to the server that answers first.
func (x *exchange) awaitVerdicts() *fault {
	if x.p.ready.Load() {
		return nil
	}
	left := make(chan struct{})
	if !x.c.Bind(aborter(func() { close(left) })) {
		return errClientLeft
	}
	select {
	case <-x.p.verdicts:
		x.p.ready.Store(true)
	case <-left:
	}
	x.now = time.Now()
	if x.c.Unbind() {
		return errClientLeft
	}
	return nil
}

func (x *exchange) begin(c *client, h head) {
	x.c, x.head = c, h
	x.rec = Record{Started: c.begun}
	x.now = c.headed
	x.target = h.target[c.guard.Path:]
	x.endpoint, x.responseID, x.allowed, x.socketKey, x.requestID = nil, nil, "", nil, nil
	x.bodyRead = !c.guard.Chunked && c.guard.Length == 0
	x.tries, x.usage.n = x.tries[:0], 0
	x.identified, x.written = false, false
	x.closing = !c.guard.KeepAlive()
}

// end gives back all that the exchange holds, and reports whether the connection shall be closed. It is the one
// way out of every exchange.
func (x *exchange) end() (closing bool) {
	now := time.Now()
	x.drop() // after a panic
	x.letGo()
	x.way.End(now)
	x.body.free()
	if x.buf != nil {
		answerRooms.Put(x.buf)
		x.buf = nil
	}
	if x.counted {
		x.p.inFlight.Add(-1)
		x.counted = false
	}
	x.record(now)
	if x.account != nil {
		x.p.budget.release(x.account)
		x.account = nil
	}
	x.identity.Reset()
	x.search.Begin(x.p.identifier)
	x.made, x.caller = responseScan{}, identity.Caller{}
	clear(x.in.lines[:cap(x.in.lines)]) // what Connection named lies behind its end
	clear(x.out[:cap(x.out)])           // an attempt before may have had a longer head
	clear(x.reply)
	c, closing := x.c, x.closing
	switch {
	case !closing:
		c.next(now)
	case x.rec.Status != errClientLeft.status:
		c.linger()
	}
	x.c, x.head, x.target, x.answer, x.way = nil, head{}, nil, transport.Answer{}, session.Route{}
	return closing
}

func (x *exchange) record(now time.Time) {
	x.rec.Upstream, x.rec.Outcome = x.way.Last(), x.outcome()
	x.rec.Source, x.rec.Ignored = x.identity.Source, x.search.Ignored
	x.rec.Model, x.rec.RequestID, x.rec.TraceID = x.search.Model, x.requestID, x.in.traceID()
	x.rec.Tries, x.rec.Surplus = x.tries, x.way.Surplus()
	x.rec.PromptTokens, x.rec.CachedTokens = x.usage.tokens()
	x.rec.Duration = now.Sub(x.rec.Started)
	if x.p.onDone != nil {
		x.p.onDone(&x.rec)
	}
}

// fields are what tether adds to the answer.
func (x *exchange) fields() answerFields {
	f := answerFields{
		sessionID: x.identity.ID(), requestID: x.requestID, outcome: x.outcome(), allow: x.allowed, connection: x.connection(),
	}
	if u := x.way.Last(); x.p.cfg.ExposeUpstream && u != nil {
		f.upstream = u.Name()
	}
	return f
}

// outcome is what affinity came to; without an attempt it came to nothing.
func (x *exchange) outcome() session.Outcome {
	if x.rec.Attempts == 0 {
		return session.None
	}
	return x.way.Outcome()
}

// fail answers with a fault, if it is not too late for an answer.
func (x *exchange) fail(f *fault) {
	x.rec.Reason = f.reason
	if x.written {
		x.closing = true
		return
	}
	x.rec.Status = f.status
	if f == errClientLeft {
		x.closing = true
		return
	}
	if !x.identified {
		x.search.Identify(&x.identity, false) // refusals carry the id as well
	}
	x.closing = x.closing || x.p.closing.Load() || !x.bodyRead || f == errPanic
	x.reply = appendFault(x.reply[:0], f, x.fields(), x.endpoint != nil && x.endpoint.api == messagesAPI)
	answer := x.reply
	if x.head.isHead() {
		answer = answer[:bytes.Index(answer, []byte("\r\n\r\n"))+4]
	}
	x.write(answer)
}

// write sends to the client. A failure means that it left, which the record tells.
func (x *exchange) write(b []byte) bool {
	x.written = true
	if err := x.c.send(b); err != nil {
		x.rec.Reason = lostBy(err).reason
		x.closing = true
		return false
	}
	return true
}

// lostBy tells a client that left from one that takes nothing, by the error of a write to it.
func lostBy(err error) *fault {
	if wire.Stalled(err) {
		return errClientStalled
	}
	return errClientLeft
}
