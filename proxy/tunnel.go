package proxy

import (
	"io"
	"time"

	"tether/wire"
)

// tunnel passes the 101 of the attempt to the client, and then the bytes of both sides, as they arrive, until one of them ends. Bytes that
// arrived with either head go first. It waits for both sides.
//
// Frames are not parsed. A WebSocket whose connection ends without a closing handshake has ended abnormally for both sides
// (1006, RFC 6455 7.1.5), so even a reset by the upstream is passed on as an ordinary end: a reset could
// overtake bytes that are on their way to the client, a closing frame among them.
func (x *exchange) tunnel() {
	a := &x.attempt
	x.route.Answered(a.answer.Status, x.now)
	x.rec.Status = a.answer.Status
	f := x.fields()
	f.tunnel = true
	x.reply = append(appendAnswerHead(x.reply[:0], &a.answer.Head, f, false), a.answer.Rest...)
	// passed counts the bytes. It is called on two goroutines, one at a time.
	passed := func(now time.Time, from wire.Side, n int) {
		if from == wire.UpstreamSide {
			a.up.Delivered(now)
			x.rec.BytesOut += int64(n)
		} else {
			x.rec.BytesIn += int64(n)
		}
		x.route.Touch(now)
	}
	passed(x.now, wire.UpstreamSide, len(a.answer.Rest))
	end, err := wire.TargetFailed, error(nil)
	if x.write(x.reply) {
		t := wire.Tunnel{Client: x.client.Client, Up: a.conn.Conn, Idle: x.settings.IdleTimeout, Passed: passed}
		early, buf := x.client.takeRest()
		end, err = t.Run(early, buf, *a.buf)
	}
	a.drop(x.client)
	x.route.Leave(time.Now())
	switch {
	case end == wire.TargetFailed:
		x.rec.Reason = lostBy(err).reason
	case end == wire.SourceIdle:
		x.rec.Reason = "upstream_idle"
	case err != io.EOF:
		x.rec.Reason = "upstream_cut"
	}
}
