package proxy

import (
	"bytes"

	"tether/session"
	"tether/wire"
)

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
		clientLost(x, lostBy(err))
		return false
	}
	return true
}

// clientLost notes that the client is gone, or takes nothing. Clients that have the terminal event of their stream want no more of it: their
// answers count as whole.
func clientLost(x *exchange, f *fault) {
	x.closing = true
	if !x.relay.served {
		x.rec.Status, x.rec.Reason = f.status, f.reason
	}
}

// lostBy tells a client that left from one that takes nothing, by the error of a write to it.
func lostBy(err error) *fault {
	if wire.Stalled(err) {
		return faultClientStalled
	}
	return faultClientGone
}
