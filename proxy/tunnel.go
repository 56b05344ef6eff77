package proxy

import (
	"io"
	"time"

	"tether/wire"
)

// tunnel passes the 101 on x.conn to the client, and then what both sides send, as it comes, until one of them ends. What
// came with either head goes first.
//
// Frames are not looked at. A WebSocket whose connection ends without a closing handshake has ended abnormally for both sides
// (1006, RFC 6455 7.1.5), so the end of the upstream's connection is passed on as an end, however it came: a reset could
// overtake bytes that are on their way to the client, a closing frame among them.
func (x *exchange) tunnel() {
	a := &x.answer
	x.way.Answered(a.Status, x.now)
	x.rec.Status = a.Status
	f := x.fields()
	f.tunnel = true
	x.reply = append(appendAnswerHead(x.reply[:0], &a.Head, f, false), a.Rest...)
	x.passed(x.now, wire.UpstreamSide, len(a.Rest))
	end, err := wire.TargetFailed, error(nil)
	if x.write(x.reply) {
		t := wire.Tunnel{Client: x.c.Client, Up: x.conn.Conn, Idle: x.p.cfg.IdleTimeout, Passed: x.passed}
		early, room := x.c.takeRest()
		end, err = t.Run(early, room, *x.buf)
	}
	x.part(false)
	switch {
	case end == wire.TargetFailed:
		x.rec.Reason = lostBy(err).reason
	case end == wire.SourceIdle:
		x.rec.Reason = "upstream_idle"
	case err != io.EOF:
		x.rec.Reason = "upstream_cut"
	}
}

// passed counts what came through the tunnel. It is called on two goroutines, one at a time.
func (x *exchange) passed(now time.Time, from wire.Side, n int) {
	if from == wire.UpstreamSide {
		x.up.Delivered(now)
		x.rec.BytesOut += int64(n)
	} else {
		x.rec.BytesIn += int64(n)
	}
	x.way.Touch(now)
}
