package proxy

import (
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"time"

	"tether/http1"
	"tether/upstream/transport"
	"tether/wire"
)

// relay follows an answer on its way to the client, part by part. It implements wire.Tap. Apart from its callbacks it touches nothing but
// itself, so any thread may pump the answer, one at a time.
//
// Take runs where many streams may share a thread: it never waits, and a panic in it ends this exchange alone. The callbacks
// run inside Take, so they must not wait either, except for locks that are held for moments only.
type relay struct {
	framing http1.Framing
	decode  bool // the client does not know the chunked coding
	broken  bool // the answer violated its framing
	observers

	first     time.Time // when the first byte of the body arrived, zero before
	generated time.Time // when the generated part of the body began to arrive, zero before
	last      time.Time // when bytes last arrived
	bytes     int64     // passed on, with the framing of chunks

	unsent bool // the client's loop has not sent all that Take has given
	served bool // the client was sent the terminal event of its stream

	// received is called when bytes have arrived.
	received func(now time.Time)
	// generates is called once, when the generated part of the body begins to arrive: the server has read the prompt.
	generates func()
	// finished is called once, when the answer is complete and before its last bytes are passed on. clean says that no byte
	// followed the answer.
	finished func(now time.Time, clean bool)

	panicked error // what Take has recovered from, for rethrow
}

// begin makes r ready for the body of an answer, whose head arrived at now. http10 says that the client speaks HTTP/1.0.
func (r *relay) begin(h *http1.Head, http10 bool, now time.Time) {
	r.framing, r.last = http1.NewFraming(h), now
	r.decode = r.framing.Chunked() && http10
	if h.Status < 400 && !h.Encoded {
		r.framing.OnPayload = r.show
		r.events.stream = h.EventStream
	}
}

// reset forgets the answer.
func (r *relay) reset() {
	r.framing = http1.Framing{}
	r.decode, r.broken, r.panicked = false, false, nil
	r.first, r.generated, r.last, r.bytes = time.Time{}, time.Time{}, time.Time{}, 0
	r.unsent, r.served = false, false
	r.observers.reset()
}

// chunked reports whether the client gets the chunks of the answer.
func (r *relay) chunked() bool { return r.framing.Chunked() && !r.decode }

// endsByClosing reports whether the client sees the end of the answer by the end of the connection.
func (r *relay) endsByClosing() bool { return r.decode || r.framing.UntilClose() }

// Take follows the framing over p, received from the upstream at now, and gives the bytes for the client.
func (r *relay) Take(now time.Time, p []byte) (out []byte, more bool) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked = panicOf(v)
			out, more = nil, false
		}
	}()
	return r.take(now, p)
}

// panicOf is a recovered panic with its stack.
func panicOf(v any) error { return fmt.Errorf("%v\n%s", v, debug.Stack()) }

// rethrow panics if Take has panicked, in a step of the exchange, which recovers.
func (r *relay) rethrow() {
	if r.panicked != nil {
		panic(r.panicked)
	}
}

func (r *relay) take(now time.Time, p []byte) (out []byte, more bool) {
	r.sent()
	r.last = now
	if r.first.IsZero() && len(p) > 0 {
		r.first = now
	}
	r.received(now)
	var n int
	var err error
	if r.decode {
		out, n, err = r.framing.Decode(p)
	} else {
		n, err = r.framing.Show(p)
		out = p[:n]
	}
	r.bytes += int64(len(out))
	r.broken = err != nil
	if r.generated.IsZero() && r.begun() {
		r.generated = now
		r.generates()
	}
	if r.framing.Done() {
		r.finished(now, n == len(p))
		return out, false
	}
	return out, err == nil
}

// sent notes that all that Take has given is sent, unless a loop has not sent it.
func (r *relay) sent() { r.served = r.served || r.events.ended && !r.unsent }

// begun reports whether the generated part of the body has begun to arrive. The part of a body that cannot be read begins at once.
func (r *relay) begun() bool { return r.events.begun || r.framing.OnPayload == nil && r.bytes > 0 }

// sendSlack is how long an answer's head waits for its request to be marked as sent: a server that has it all answers
// before the goroutine that sends has noticed.
const sendSlack = 5 * time.Millisecond

// delivery is an exchange that has an answer for the client.
type delivery struct{ *exchange }

// respond passes the answer to the client as it arrives: the head at once, with the part of the body that
// arrived with it, then every read as one write. Nothing is retried from here on. It waits for both sides, unless handed says that a loop
// drives the rest.
func (x delivery) respond() (handed bool) {
	more := x.openAnswer()
	x.relay.rethrow()
	x.written = true
	end, err := wire.Finished, x.client.send(x.reply)
	if err == nil && more && x.attempt.answer.EventStream {
		x.attempt.conn.DelayAcks()
	}
	switch {
	case err != nil:
		end = wire.TargetFailed
	case more && x.attempt.looped != nil:
		driven(x).relayRest()
		return true
	case more:
		x.slim()
		end, err = x.pump()
	}
	x.relay.rethrow()
	if x.onLoop && (end != wire.Finished || !x.relay.framing.Done()) { // to settle that may wait
		x.over, x.err = end, err
		driven(x).goOn(afterRelay)
		return true
	}
	x.settle(end, err)
	return false
}

// slim gives back memory that the rest of the answer does not need. The head has left.
func (x delivery) slim() {
	a := &x.attempt
	a.answer.Rest, a.answer.Lines, a.answer.StatusLine = nil, nil, nil
	if !a.conn.Sent() {
		return
	}
	giveScratchBack(x.exchange)
	x.req.framing = nil
	freeGuard(x.client)
	if c := x.client; len(c.rest) == 0 {
		x.req.body.free()
		c.freeBuffer()
	}
}

// openAnswer makes x.reply the head for the client, with the part of the body that has arrived, and reports whether more is to come.
func (x delivery) openAnswer() (more bool) {
	a, r, http10 := &x.attempt.answer, &x.relay, x.req.framing.HTTP10()
	x.route.Answered(a.Status, x.now)
	if x.req.body.held() && x.sentSoon() {
		x.req.body.free()
	}
	x.rec.Status = a.Status
	r.begin(&a.Head, http10, x.now)
	if a.Status < 300 && x.req.endpoint.aboutResponses() {
		x.learned(x.caller.namedResponse(&x.req)) // the upstream has it
		if x.req.is(responsesAPI) && !x.caller.search.Unstored {
			r.stored = newStoredScan(a.EventStream)
		}
	}
	x.closing = x.closing || x.p.closing.Load() || r.endsByClosing()
	f := x.fields()
	f.retryAfter = x.tries.last.retryAfter
	x.reply = appendAnswerHead(x.reply[:0], &a.Head, f, r.chunked())
	first, more := r.Take(x.now, a.Rest)
	x.reply = append(x.reply, first...)
	return more
}

// sentSoon reports whether the request is sent, and waits a moment for that unless a loop must not wait.
func (x delivery) sentSoon() bool {
	if x.onLoop {
		return x.attempt.conn.Sent()
	}
	return x.attempt.conn.SentWithin(sendSlack)
}

// received notes the delivery of a part of the answer. See relay.
func (x delivery) received(now time.Time) {
	x.attempt.up.Delivered(now)
	x.route.Touch(now)
	if !x.relay.generated.IsZero() {
		x.route.Generated(now)
	}
	if x.req.body.held() && x.attempt.conn.Sent() {
		x.req.body.free() // the answer may take hours
	}
}

// learned notes that the upstream has the stored response of that id, if there is one. See observers.
func (x delivery) learned(id []byte) {
	if len(id) > 0 {
		x.route.Learn(x.caller.identifier.Response(x.caller.stored, id), x.relay.last)
	}
}

// finished ends the upstream's part: its connection is kept for the next request if it is fit for one. The client may leave, or ask
// again on another connection, as soon as it has the last bytes. See relay.
func (x delivery) finished(now time.Time, clean bool) {
	a := &x.attempt
	left := x.client.Unbind()
	if x.onLoop {
		transport.LeaveLoop(a.conn)
	}
	switch {
	case !a.conn.Sent():
		a.conn.Discard(lend(&x.req.body, a))
	case clean && !left:
		a.conn.Keep(&a.answer, now)
	default:
		a.conn.Close() // which waits for nothing: the request was sent
	}
	a.conn, a.looped = nil, nil
	x.answered(now)
	x.route.Leave(now)
	x.caller.leave()
}

// answered notes how long the whole answer took that was complete at now. Only calls that make a server work say how long its answers
// take, and no errors.
func (x delivery) answered(now time.Time) {
	if a := &x.attempt; a.answer.Status < 400 && x.req.endpoint.method == "POST" {
		x.route.Last().Answered(now.Sub(a.began))
	}
	if x.attempt.answer.Status < 400 {
		finish(x.exchange, now)
	}
}

// settle ends the relay. The client of an answer that is not whole sees that.
func (x delivery) settle(end wire.End, err error) {
	r := &x.relay
	left := x.attempt.drop(x.client)
	x.route.Leave(r.last)
	if !x.onLoop && end != wire.TargetFailed {
		r.unsent = false
		r.sent()
	}
	switch {
	case end == wire.TargetFailed:
		x.abandoned(lostBy(err))
	case left:
		x.abandoned(faultClientGone)
	case r.framing.Done():
	case r.framing.UntilClose() && end == wire.SourceEnded && err == io.EOF:
		x.answered(r.last)
	case end == wire.SourceIdle:
		x.cut("upstream_idle")
	case r.broken:
		x.cut("upstream_malformed")
	default:
		x.cut("upstream_cut")
	}
}

// abandoned ends an answer whose client is gone.
func (x delivery) abandoned(f *fault) {
	clientLost(x.exchange, f)
	if x.relay.served && !x.relay.framing.Done() {
		x.answered(x.relay.last)
	}
}

// cut ends an answer that is not whole so that the client sees it: without the last chunk or the promised length,
// and by a reset where the end of the connection would pass for the end of the answer.
func (x delivery) cut(reason string) {
	x.rec.Reason = reason
	x.closing = true
	now := time.Now()
	x.route.Failed(now.Sub(x.attempt.began), now)
	a, r := &x.attempt.answer, &x.relay
	if a.EventStream && !a.Encoded && r.framing.BetweenEvents() {
		x.write(cutEvent(x.req.endpoint.api, r.chunked()))
	}
	if r.endsByClosing() {
		_ = x.client.Reset() // the connection is given up
	}
}

// The event that tells a stream's client that it is cut, in the words of the API.
const (
	cutMessage   = "The model server failed before the answer was complete."
	cutError     = `"error":{"message":"` + cutMessage + `","type":"server_error","param":null,"code":502}`
	chatCut      = `data: {` + cutError + `}` + "\n\n"
	responsesCut = "event: error\n" + `data: {"type":"error","code":"server_error","message":"` + cutMessage + `","param":null,` + cutError + `}` + "\n\n"
	cohereCut    = `data: {"type":"message-end","delta":{"error":"` + cutMessage + `","finish_reason":"ERROR"}}` + "\n\n"
	messagesCut  = "event: error\n" + `data: {"type":"error","error":{"type":"api_error","message":"` + cutMessage + `"}}` + "\n\n"
)

func cutEvent(a api, chunked bool) []byte {
	event := chatCut
	switch {
	case a == messagesAPI:
		event = messagesCut
	case a == cohereAPI:
		event = cohereCut
	case a.aboutResponses():
		event = responsesCut
	}
	if chunked {
		event = strconv.FormatInt(int64(len(event)), 16) + "\r\n" + event + "\r\n"
	}
	return []byte(event)
}
