package proxy

import (
	"context"
	"sync"
	"time"

	"tether/failure"
	"tether/upstream"
	"tether/upstream/transport"
)

// answerRooms are the read buffers of answers. They bound an upstream's response head.
var answerRooms = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// forward tries upstreams until one answers or the rules end it, and relays the answer.
func (x *exchange) forward() *fault {
	t := trail{named: len(x.namedResponse()) > 0, background: x.search.Background}
	x.buf = answerRooms.Get().(*[]byte)
	var u *upstream.Upstream
	what, last := another, errNobodyUp
	for x.rec.Attempts < x.p.cfg.MaxAttempts {
		if what == another {
			if u = x.way.Next(x.now); u == nil {
				break
			}
			t.replayed = false
		}
		what, last = x.try(u, &t, what == replay)
		switch what {
		case pass:
			if x.answer.Status == 101 {
				x.tunnel()
				return nil
			}
			return x.relay()
		case giveUp:
			return t.verdict(last)
		}
	}
	return t.verdict(last)
}

// try makes one attempt at u and says what follows it. With pass, x.conn has the answer; else the fault is what the
// client gets if this was the last attempt.
func (x *exchange) try(u *upstream.Upstream, t *trail, fresh bool) (next, *fault) {
	x.hold(u)
	err := x.ask(u, fresh)
	if err != failure.Exhausted { // our own trouble is no attempt at anybody
		x.rec.Attempts++
		if fresh {
			x.rec.Replays++
		}
	}
	if err != nil {
		x.tried(u, failure.Of(err))
		if err == failure.ClientGone {
			return giveUp, errClientLeft
		}
		x.blame(u, err)
		return t.afterFailure(err), faultOfUpstream(err)
	}
	leaving := x.refusedLeaving()
	if leaving {
		u.SaidLeaving()
	}
	what := t.afterAnswer(x.answer.Status, leaving)
	if what == pass || x.rec.Attempts == x.p.cfg.MaxAttempts || !x.way.More() {
		x.tried(u, failure.None)
		return pass, nil
	}
	if leaving {
		x.tried(u, failure.Leaving)
	} else {
		x.tried(u, failure.Busy)
	}
	x.drop()
	return what, errNobodyUp
}

func (x *exchange) tried(u *upstream.Upstream, k failure.Kind) { x.tries = append(x.tries, Try{u, k}) }

// hold counts the request in flight at u, and no longer where it was; letGo ends that.
func (x *exchange) hold(u *upstream.Upstream) {
	x.letGo()
	u.Begin()
	x.up = u
}

func (x *exchange) letGo() {
	if x.up != nil {
		x.up.End()
		x.up = nil
	}
}

// blame passes on what a failure says about the upstream: trouble with connecting makes it suspect.
func (x *exchange) blame(u *upstream.Upstream, err error) {
	switch err {
	case failure.Refused:
		x.way.Refused()
		u.Suspected("it refused a request's connection")
	case failure.Unreachable:
		u.Suspected("a request could not connect to it")
	case failure.Insecure:
		u.Suspected("a request got no TLS connection to it")
	}
}

// ask sends the request to u on x.conn and waits for the response head, which is in x.answer then. From here to the
// end of the answer the client's leaving closes the connection. The error is a failure.Kind; after it there is no
// connection.
func (x *exchange) ask(u *upstream.Upstream, fresh bool) error {
	conn, err := x.connect(u, fresh)
	if err != nil {
		return err
	}
	if !x.c.Bind(conn.Conn) {
		conn.Close()
		return failure.ClientGone
	}
	x.conn = conn
	body := x.edited()
	o := outbound{
		method: x.head.method, target: x.target, in: &x.in,
		peer: x.c.peer, proto: x.c.proto, requestID: x.requestID,
		session: &x.identity, length: body.Len(), hasBody: x.hasBody(), tunnel: x.endpoint.api == realtimeAPI,
	}
	x.out = o.append(x.out[:0], u)
	conn.Send(x.out, body, x.now)
	x.answer, err = x.receive()
	x.now = time.Now()
	if err == nil {
		x.answer.ToHEAD = x.head.isHead()
		u.Delivered(x.now)
		return nil
	}
	if x.drop() {
		return failure.ClientGone
	}
	return err
}

// receive waits for the head of the answer on x.conn. Only a handshake may be answered with another protocol, and only if
// the upstream shows that it read the key: nobody may make a tunnel through it of what was no WebSocket to it.
func (x *exchange) receive() (transport.Answer, error) {
	if x.endpoint.api != realtimeAPI {
		return x.conn.Receive(*x.buf, x.p.cfg.HeadTimeout)
	}
	a, err := x.conn.ReceiveSwitch(*x.buf, x.p.cfg.HeadTimeout)
	if err == nil && a.Status == 101 && !a.Switches(x.socketKey) {
		err = failure.BadHead
	}
	return a, err
}

// edited is the request's body as the upstream gets it: an alias of a model is replaced in it, nothing else.
func (x *exchange) edited() transport.Body {
	b, e := x.body.bytes, &x.search.Edit
	if len(e.Text) == 0 {
		return transport.Body{b}
	}
	return transport.Body{b[:e.From], e.Text, b[e.To:]}
}

// drop closes the connection of an attempt, if there is one, and reports whether the client left meanwhile.
func (x *exchange) drop() (left bool) {
	if x.conn == nil {
		return false
	}
	left = x.c.Unbind()
	x.conn.Close()
	x.conn = nil
	return left
}

func (x *exchange) hasBody() bool {
	g := &x.c.guard
	return g.Chunked || g.Length > 0 || x.endpoint.method == "POST"
}

// connect takes an idle connection to u, or opens one.
func (x *exchange) connect(u *upstream.Upstream, fresh bool) (*transport.Conn, error) {
	if !fresh {
		if conn := u.TakeIdle(x.now); conn != nil {
			return conn, nil
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !x.c.Bind(aborter(cancel)) {
		return nil, failure.ClientGone
	}
	conn, err := u.Dial(ctx, x.p.cfg.ConnectTimeout)
	x.now = time.Now()
	if left := x.c.Unbind(); left {
		if conn != nil {
			conn.Close()
		}
		return nil, failure.ClientGone
	}
	return conn, err
}

// aborter makes a function a wire.Aborter.
type aborter func()

func (a aborter) Abort() { a() }

// lookTime is how long an answer is held back for a look at its body. vLLM writes these at once.
const lookTime = 5 * time.Second

// refusedLeaving reports whether the answer is vLLM's refusal while it shuts down. To see that it reads the body; what
// it has read stays with the answer.
func (x *exchange) refusedLeaving() bool {
	a := &x.answer
	if a.Status != 500 || a.Length > maxShutdownBody || a.Length < 0 && !a.Chunked {
		return false
	}
	body, err := x.conn.ReadBody(a, maxShutdownBody, min(lookTime, x.p.cfg.IdleTimeout))
	return err == nil && saysLeaving(body)
}
