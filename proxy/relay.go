package proxy

import (
	"io"
	"strconv"
	"time"

	"tether/http1"
	"tether/wire"
)

// sendSlack is how long an answer's head waits for its request to be marked as sent: a server that has it all answers
// before our own goroutine has noticed.
const sendSlack = 5 * time.Millisecond

// relaying is the state of an answer on its way to the client.
type relaying struct {
	framing http1.Framing
	decode  bool // the client does not know the chunked coding
	broken  bool // the framing was violated
}

// relay passes the answer on x.conn to the client as it arrives: the head at once, with the part of the body that
// came with it, then every read as one write. Nothing is retried from here on.
func (x *exchange) relay() *fault {
	a := &x.answer
	x.way.Answered(a.Status, x.now)
	if x.body.held() && x.conn.SentWithin(sendSlack) {
		x.body.free()
	}
	x.rec.Status = a.Status
	r := &x.passing
	*r = relaying{framing: http1.NewFraming(&a.Head)}
	if a.Status < 400 && !a.Encoded {
		r.framing.OnPayload = x.look
	}
	x.learn()
	r.decode = r.framing.Chunked() && x.c.guard.HTTP10()
	x.closing = x.closing || x.p.closing.Load() || r.decode || r.framing.UntilClose()
	x.reply = appendAnswerHead(x.reply[:0], &a.Head, x.fields(), r.framing.Chunked() && !r.decode)
	first, more := x.Take(x.now, a.Rest)
	x.reply = append(x.reply, first...)

	x.written = true
	end, err := wire.Finished, x.c.send(x.reply)
	switch {
	case err != nil:
		end = wire.TargetFailed
	case more:
		end, err = wire.Pump(x.c.Client, x.conn.Conn, *x.buf, x.p.cfg.IdleTimeout, x)
	}
	x.settle(end, err)
	return nil
}

// see is shown the body of the answer part by part, before the client is.
func (x *exchange) see(p []byte) {
	x.usage.see(p)
	if id := x.made.see(p); id != nil {
		x.way.Learn(x.p.identifier.Response(x.caller, id), x.now)
	}
}

// connection is what the answer says of the client's connection.
func (x *exchange) connection() string {
	switch {
	case x.closing:
		return "close"
	case x.c.guard.HTTP10():
		return "keep-alive"
	}
	return ""
}

// Take follows the answer's framing over what came from the upstream. It implements wire.Tap.
func (x *exchange) Take(now time.Time, p []byte) (out []byte, more bool) {
	r := &x.passing
	x.now = now
	x.up.Delivered(now)
	if x.rec.FirstByte == 0 && len(p) > 0 {
		x.rec.FirstByte = now.Sub(x.rec.Started)
	}
	x.way.Touch(now)
	if x.body.held() && x.conn.Sent() {
		x.body.free() // the answer may take hours
	}
	var n int
	var err error
	if r.decode {
		out, n, err = r.framing.Decode(p)
	} else {
		n, err = r.framing.Show(p)
		out = p[:n]
	}
	x.rec.BytesOut += int64(len(out))
	r.broken = err != nil
	if r.framing.Done() {
		// Before the last bytes go out: the client may leave as soon as it has them.
		x.part(n == len(p))
		return out, false
	}
	return out, err == nil
}

// part ends the upstream's part in the exchange: its connection is kept for the next request if it is fit for one.
func (x *exchange) part(fit bool) (left bool) {
	left = x.c.Unbind()
	if fit && !left {
		x.conn.Keep(&x.answer, x.now)
	} else {
		x.conn.Close()
	}
	x.conn = nil
	x.letGo()
	return left
}

// settle ends the relay by how it went: a client of an answer that is not whole gets to see that.
func (x *exchange) settle(end wire.End, err error) {
	r := &x.passing
	left := false
	if x.conn != nil {
		left = x.part(false)
	}
	switch {
	case end == wire.TargetFailed:
		x.rec.Status, x.rec.Reason = StatusClientLeft, lostBy(err).reason
		x.closing = true
	case left:
		x.rec.Status, x.rec.Reason = StatusClientLeft, errClientLeft.reason
		x.closing = true
	case r.framing.Done():
	case r.framing.UntilClose() && end == wire.SourceEnded && err == io.EOF:
	case end == wire.SourceIdle:
		x.cut("upstream_idle")
	case r.broken:
		x.cut("upstream_malformed")
	default:
		x.cut("upstream_cut")
	}
}

// cut ends an answer that is not whole so that the client sees it: without the last chunk or the promised length,
// and by a reset where the end of the connection would pass for the end of the answer.
func (x *exchange) cut(reason string) {
	x.rec.Reason = reason
	x.closing = true
	r := &x.passing
	if a := &x.answer; a.EventStream && !a.Encoded && r.framing.BetweenEvents() {
		x.write(x.errorEvent(r.framing.Chunked() && !r.decode))
	}
	if r.decode || r.framing.UntilClose() {
		_ = x.c.Reset() // the connection is given up
	}
}

// The event that tells a stream's client that it is cut, in the words of the API.
const (
	cutMessage   = "The model server failed before the answer was complete."
	cutError     = `"error":{"message":"` + cutMessage + `","type":"server_error","param":null,"code":502}`
	chatCut      = `data: {` + cutError + `}` + "\n\n"
	responsesCut = "event: error\n" + `data: {"type":"error","code":"server_error","message":"` + cutMessage + `","param":null,` + cutError + `}` + "\n\n"
	messagesCut  = "event: error\n" + `data: {"type":"error","error":{"type":"api_error","message":"` + cutMessage + `"}}` + "\n\n"
)

func (x *exchange) errorEvent(chunked bool) []byte {
	event := chatCut
	switch {
	case x.endpoint.api == messagesAPI:
		event = messagesCut
	case x.endpoint.aboutResponses():
		event = responsesCut
	}
	if chunked {
		event = strconv.FormatInt(int64(len(event)), 16) + "\r\n" + event + "\r\n"
	}
	return []byte(event)
}
