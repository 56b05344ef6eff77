package proxy

import (
	"io"
	"strconv"
	"time"

	"tether/http1"
	"tether/upstream"
	"tether/wire"
)

// relaying is the state of an answer on its way to the client.
type relaying struct {
	framing http1.Framing
	decode  bool // the client does not know the chunked coding
	excess  bool // the upstream sent bytes behind the answer
	broken  bool // the framing was violated
	touched time.Time
}

// relay passes the answer on conn to the client as it arrives: the head at once, with the part of the body that
// came with it, then every read as one write. Nothing is retried from here on.
func (x *exchange) relay(conn *upstream.Conn) *fault {
	now := time.Now()
	a := &x.answer
	x.way.Answered(a.Status, now)
	if conn.Sent() {
		x.body.free()
	}
	x.rec.Status, x.rec.FirstByte = a.Status, now.Sub(x.rec.Started)
	r := &x.passing
	*r = relaying{framing: http1.NewFraming(&a.Head), touched: now}
	r.decode = r.framing.Chunked() && x.c.guard.HTTP10()
	x.closing = x.closing || r.decode || r.framing.UntilClose()
	x.reply = appendAnswerHead(x.reply[:0], &a.Head, x.fields(), r.framing.Chunked() && !r.decode, x.connection())
	first, more := x.Take(now, a.Rest)
	x.reply = append(x.reply, first...)

	end, err := wire.Finished, error(nil)
	switch {
	case !x.write(x.reply):
		end = wire.TargetFailed
	case more:
		end, err = wire.Pump(x.c.Client, conn.Conn, *x.buf, x.p.cfg.IdleTimeout, x)
	}
	x.settle(conn, end, err)
	return nil
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
	x.up.Delivered(now)
	if now.Sub(r.touched) > x.p.touchEvery {
		x.way.Touch(now)
		r.touched = now
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
	r.excess = n < len(p)
	return out, err == nil && !r.framing.Done()
}

// settle ends the relay: both connections are kept or closed by how it ended, and a client of an answer that is
// not whole gets to see that.
func (x *exchange) settle(conn *upstream.Conn, end wire.End, err error) {
	r := &x.passing
	left := x.c.Unbind()
	whole := r.framing.Done() || r.framing.UntilClose() && end == wire.SourceEnded && err == io.EOF
	if whole && !left && !r.excess && !r.broken && !r.framing.UntilClose() {
		conn.Keep(&x.answer)
	} else {
		conn.Close()
	}
	switch {
	case whole:
	case left, end == wire.TargetFailed:
		x.rec.Status, x.rec.Reason = errClientLeft.status, errClientLeft.reason
		x.closing = true
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
	case x.route.anthropic:
		event = messagesCut
	case x.route.namedEvents:
		event = responsesCut
	}
	if chunked {
		event = strconv.FormatInt(int64(len(event)), 16) + "\r\n" + event + "\r\n"
	}
	return []byte(event)
}
