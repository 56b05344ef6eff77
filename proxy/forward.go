package proxy

import (
	"context"
	"errors"
	"sync"
	"time"

	"tether/upstream"
)

// answerRooms are the read buffers of answers. They bound an upstream's response head.
var answerRooms = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// forward tries upstreams until one answers or the rules end it, and relays the answer.
func (x *exchange) forward() *fault {
	t := trail{single: len(x.namedResponse()) > 0 || x.search.Background}
	x.buf = answerRooms.Get().(*[]byte)
	f := errNobodyUp
	for x.rec.Attempts < x.p.cfg.MaxAttempts {
		u := x.way.Next(x.now)
		if u == nil {
			break
		}
		what, conn, fault := x.try(u, &t, false)
		if what == replay && x.rec.Attempts < x.p.cfg.MaxAttempts {
			x.rec.Replays++
			what, conn, fault = x.try(u, &t, true)
		}
		if what == pass {
			return x.relay(conn)
		}
		if f = fault; what != another {
			break
		}
	}
	if t.died {
		return errDied
	}
	return f
}

// try makes one attempt at u and says what follows it. With pass, conn has the answer; else the fault is what the
// client gets if this was the last attempt.
func (x *exchange) try(u *upstream.Upstream, t *trail, fresh bool) (next, *upstream.Conn, *fault) {
	x.hold(u)
	conn, err := x.ask(u, fresh)
	if err != upstream.Exhausted { // our own trouble is no attempt at anybody
		x.rec.Attempts++
	}
	if err != nil {
		if err == errLeft {
			return giveUp, nil, errClientLeft
		}
		x.blame(u, err)
		return t.afterFailure(err), nil, faultOfUpstream(err)
	}
	leaving := x.refusedLeaving(conn)
	if leaving {
		u.SaidLeaving()
	}
	what := t.afterAnswer(x.answer.Status, leaving)
	if what == pass || x.rec.Attempts == x.p.cfg.MaxAttempts || !x.way.More() {
		return pass, conn, nil
	}
	x.drop(conn)
	return what, nil, errNobodyUp
}

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
	case upstream.Refused:
		x.way.Refused()
		u.Suspected("it refused a request's connection")
	case upstream.Unreachable:
		u.Suspected("a request could not connect to it")
	}
}

// errLeft tells that the client left during an attempt.
var errLeft = errors.New("client left")

// ask sends the request to u and waits for the response head, which is in x.answer then. From here to the end of
// the answer the client's leaving closes the connection. The error is errLeft or an upstream.Failure; after it
// there is no connection.
func (x *exchange) ask(u *upstream.Upstream, fresh bool) (*upstream.Conn, error) {
	conn, err := x.connect(u, fresh)
	if err != nil {
		return nil, err
	}
	if !x.c.Bind(conn.Conn) {
		conn.Close()
		return nil, errLeft
	}
	o := outbound{
		method: x.head.Method(), target: x.head.RequestURI(), in: &x.in,
		peer: x.c.peer, trusted: x.holder != nil, requestID: x.requestID,
		session: &x.identity, length: len(x.body.bytes), hasBody: x.hasBody(),
	}
	x.out = o.append(x.out[:0], u)
	conn.Send(x.out, x.body.bytes, x.now)
	x.answer, err = conn.Receive(*x.buf, x.p.cfg.HeadTimeout)
	x.now = time.Now()
	if err == nil {
		u.Delivered(x.now)
		return conn, nil
	}
	if x.drop(conn) {
		return nil, errLeft
	}
	return nil, err
}

// drop closes the connection of an attempt and reports whether the client left meanwhile.
func (x *exchange) drop(conn *upstream.Conn) (left bool) {
	left = x.c.Unbind()
	conn.Close()
	return left
}

func (x *exchange) hasBody() bool {
	g := &x.c.guard
	return g.Chunked || g.Length > 0 || x.route.method == "POST"
}

// connect takes an idle connection to u, or opens one.
func (x *exchange) connect(u *upstream.Upstream, fresh bool) (*upstream.Conn, error) {
	if !fresh {
		if conn := u.Pooled(x.now); conn != nil {
			return conn, nil
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !x.c.Bind(aborter(cancel)) {
		return nil, errLeft
	}
	conn, err := u.Dial(ctx, x.p.cfg.ConnectTimeout)
	x.now = time.Now()
	if left := x.c.Unbind(); left {
		if conn != nil {
			conn.Close()
		}
		return nil, errLeft
	}
	return conn, err
}

// aborter makes a function a wire.Aborter.
type aborter func()

func (a aborter) Abort() { a() }

// refusedLeaving reports whether the answer is vLLM's refusal while it shuts down. To see that it reads the body,
// which stays with the answer.
func (x *exchange) refusedLeaving(conn *upstream.Conn) bool {
	a := &x.answer
	if a.Status != 500 || a.Length < 0 || a.Length > maxShutdownBody {
		return false
	}
	body, err := conn.ReadBody(a, maxShutdownBody, x.p.cfg.IdleTimeout)
	if err != nil {
		return false
	}
	a.Rest = body
	return saysLeaving(body)
}
