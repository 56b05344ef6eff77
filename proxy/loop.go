package proxy

import (
	"errors"
	"net"
	"time"

	"go.uber.org/zap"

	"tether/upstream/transport"
	"tether/wire"
)

// On the thread of an event loop, clients wait for their next request, and requests take the common way: the head and a small body
// have arrived together, an upstream is there with an idle connection, its answer is passed on. It is the same steps as on a
// goroutine. Whatever may wait for anything else goes on on a goroutine: a head or body in parts, a dial, a retry, a failed answer, an
// end of the connection. The goroutine gives the exchange back to the loop once the request is sent.
//
// A parked client is the Driver of package wire/loop of its own connection, a driven exchange that of the upstream's.

// phase is what an exchange waits for on a loop.
type phase uint8

const (
	awaitingHead phase = iota // of the answer
	relaying                  // for the next part of the answer
	draining                  // until the end of the answer is sent
)

// parked is a client on the thread of its loop.
type parked struct{ *client }

// driven is an exchange on the thread of its client's loop, or on its way there.
type driven struct{ *exchange }

// park lets the client's loop wait for the next request, of which nothing has arrived. It reports false if the client has no loop, or if
// no request is awaited any more. After true the caller must not touch c.
func (c *client) park() bool {
	d := c.Driven()
	if d == nil || !c.rests() {
		return false
	}
	c.onLoop, c.x = true, nil
	d.Drive(parked{c}, parked{c}.idleLimit(), false)
	return true
}

// rests makes the client idle. It reports false if no request is awaited any more.
func (c *client) rests() bool {
	c.idle.Store(true)
	if c.p.clients.stopping.Load() && !isNew(c, time.Now()) && c.Quiet() {
		c.idle.Store(false)
		return false
	}
	return true
}

func (c parked) idleLimit() time.Time { return c.since.Add(c.p.settings.Load().ClientIdleTimeout) }

// Received serves a request whose head and body are whole, and leaves any other to a goroutine. It implements Driver of package wire/loop.
func (c parked) Received(now time.Time, p []byte) {
	defer c.catch()
	c.idle.Store(false)
	c.Driven().Limit(time.Time{})
	n, whole := c.takeHead(now, p)
	if !whole || !c.p.ready.Load() {
		c.restart()
		c.leave(p)
		return
	}
	c.keepRest(p[n:])
	x := c.p.exchanges.Get().(*exchange)
	h, err := c.parser.parse(p[:n], c.guard.Lines, &x.text)
	if err != nil {
		c.p.exchanges.Put(x)
		c.restart()
		c.leave(p)
		return
	}
	c.x = x
	c.Driven().Hold()
	c.after(x.serve(c.client, h))
}

// takeHead shows a whole request to the guard, and gives the length of its head. It reports false if the guard refuses the head, or if head or
// body are not whole.
func (c parked) takeHead(now time.Time, p []byte) (n int, whole bool) {
	takeGuard(c.client)
	n, whole, err := c.guard.Head(p)
	if err != nil || !whole || c.guard.Chunked || c.guard.Length > int64(len(p)-n) {
		return 0, false
	}
	c.fresh, c.whole = false, true
	c.begun, c.headed = now, now
	return n, true
}

// restart forgets what takeHead has found out: a goroutine reads the head from its beginning.
func (c parked) restart() {
	c.whole, c.fresh, c.rest = false, true, nil
	freeGuard(c.client)
}

// leave leaves the client to a goroutine. p was received for its next request.
func (c parked) leave(p []byte) {
	c.unsent = c.Driven().Release()
	c.onLoop = false
	c.keepRest(p)
	go c.p.run(c.client)
}

// after goes on with the client after a step of an exchange on the loop.
func (c parked) after(f fate) {
	switch f {
	case handed:
		return
	case closed: // complete leaves that to goroutines
		panic("BUG: a loop closes a connection")
	}
	c.x = nil
	switch {
	case len(c.rest) > 0:
		c.unsent = c.Driven().Release()
		c.onLoop = false
		go c.p.run(c.client)
	default:
		c.awaitRequest()
	}
}

// awaitRequest waits for the next request.
func (c parked) awaitRequest() {
	c.freeBuffer()
	if !c.rests() {
		c.close()
		return
	}
	c.Driven().Limit(c.idleLimit())
	c.Driven().Resume()
}

// close ends the connection on the loop.
func (c parked) close() {
	c.Driven().Release()
	closeClient(c.client)
}

// Ended ends an idle connection, or the answer that the client has failed to take. It implements Driver of package wire/loop.
func (c parked) Ended(_ time.Time, err error) {
	defer c.catch()
	switch x := c.x; {
	case x == nil:
		if wire.IsTimeout(err) {
			c.p.clients.idleClosed.Add(1)
		}
		c.close()
	case x.phase == awaitingHead, x.phase == relaying && errors.Is(err, net.ErrClosed):
		// The upstream's connection was closed with it, and tells the exchange.
	default:
		driven{x}.endRelay(wire.TargetFailed, err)
	}
}

// Drained goes on with what waited for the client. It implements Driver of package wire/loop.
func (c parked) Drained(now time.Time) {
	defer c.catch()
	switch x := c.x; {
	case x.phase == draining:
		x.now = now
		c.after(x.take(afterAnswer))
	case x.slow:
		x.slow, x.now = false, now
		x.attempt.looped.Limit(driven{x}.idleLimit())
		x.attempt.looped.Resume()
	}
}

// Refused reads no more from the upstream until the client has taken what it was sent, or ends an answer that the client can no longer take.
// It implements Driver of package wire/loop.
func (c parked) Refused(_ time.Time, err error) {
	defer c.catch()
	switch x := c.x; {
	case err != nil:
		driven{x}.endRelay(wire.TargetFailed, err)
	case x.phase == relaying:
		x.slow = true
		x.attempt.looped.Limit(time.Time{}) // the kernel limits how long the client takes
		x.attempt.looped.Hold()
	}
}

// catch ends the connection if a step on the loop has panicked outside of an exchange.
func (c parked) catch() {
	v := recover()
	if v == nil {
		return
	}
	if c.x != nil {
		c.x.relay.panicked = panicOf(v)
		driven{c.x}.goOn(afterRelay)
		return
	}
	c.p.log.Error("panic in a connection", zap.Any("panic", v), zap.Stack("stack"))
	c.close()
}

// awaitAnswer lets the client's loop wait for the head of the answer. On another thread, the caller must not touch the exchange any more.
func (x driven) awaitAnswer() {
	x.phase = awaitingHead
	limit := x.attempt.conn.HeadLimit(x.settings.HeadTimeout)
	if x.onLoop {
		x.attempt.looped.Drive(x, limit, true)
		return
	}
	x.enter(limit)
}

// relayRest lets the client's loop relay the rest of the answer. On another thread, the caller must not touch the exchange any more.
func (x driven) relayRest() {
	x.phase, x.slow = relaying, false
	delivery(x).slim()
	if a := &x.attempt; a.buf != nil {
		answerBuffers.Put(a.buf)
		a.buf = nil
	}
	if x.onLoop { // the connection is driven since the request was sent
		x.attempt.looped.Limit(x.idleLimit())
		return
	}
	x.enter(x.idleLimit())
}

// enter gives both connections to the loop.
func (x driven) enter(limit time.Time) {
	c, conn := x.client, x.attempt.looped
	x.onLoop, c.onLoop, c.x = true, true, x.exchange
	c.Driven().Hold()
	c.Driven().Drive(parked{c}, time.Time{}, false)
	conn.Drive(x, limit, false)
}

func (x driven) idleLimit() time.Time { return x.now.Add(listen(x.exchange, x.now)) }

// Received takes the next bytes of the answer. It implements Driver of package wire/loop.
func (x driven) Received(now time.Time, p []byte) {
	defer parked{x.client}.catch()
	x.now = now
	if x.phase == awaitingHead {
		x.receiveHead(p)
		return
	}
	x.relay.unsent = x.toClient.Sending()
	out, more := x.relay.Take(now, p)
	if len(out) > 0 {
		x.toClient.Push(out)
	}
	if !more {
		x.endRelay(wire.Finished, nil)
		return
	}
	x.attempt.looped.Limit(x.idleLimit())
}

// receiveHead takes the first bytes of an answer. Other heads than those of ordinary answers are rare, and left to a goroutine.
func (x driven) receiveHead(p []byte) {
	a := &x.attempt
	if s := &a.answer; !s.Begin(p) || s.Status == 500 || s.Status == 503 {
		a.conn.Unread(p)
		x.goOn(awaitHead)
		return
	}
	a.headArrived(&x.req, x.now)
	c := parked{x.client}
	c.after(x.take(judgeAnswer))
}

// judgeAnswer goes on with an answer whose head is there.
func judgeAnswer(x *exchange) (f *fault, handed bool) {
	x.judge(nil)
	return x.proceed()
}

// awaitHead waits for the rest of a head, on a goroutine.
func awaitHead(x *exchange) (f *fault, handed bool) {
	a := &x.attempt
	looped := a.looped
	a.looped = nil // the goroutine has the connection until the answer is judged
	err := a.await(&x.req, x.settings, &x.now)
	if err == nil {
		a.looped = looped
	}
	x.judge(err)
	return x.proceed()
}

// Ended ends an attempt, or the relay of its answer. It implements Driver of package wire/loop.
func (x driven) Ended(now time.Time, err error) {
	defer parked{x.client}.catch()
	x.now = now
	switch {
	case x.phase == awaitingHead:
		x.err = x.attempt.conn.Lost(err)
		x.goOn(afterLoss)
	case wire.IsTimeout(err):
		if !x.stayAlive() {
			x.endRelay(wire.SourceIdle, err)
		}
	default:
		x.endRelay(wire.SourceEnded, err)
	}
}

// afterLoss goes on after an attempt whose connection ended before an answer.
func afterLoss(x *exchange) (f *fault, handed bool) {
	x.judge(x.attempt.lost(x.err))
	return x.proceed()
}

// Drained implements Driver of package wire/loop. The request is sent, which nothing waits for.
func (x driven) Drained(time.Time) {}

// Refused notes that the request cannot be sent. What the upstream says or does tells the rest. It implements Driver of package wire/loop.
func (x driven) Refused(_ time.Time, err error) {
	if err != nil {
		transport.SendFailed(x.attempt.conn, err)
	}
}

// endRelay ends the relay: a whole answer on the loop, any other on a goroutine.
func (x driven) endRelay(end wire.End, err error) {
	x.over, x.err = end, err
	if end == wire.Finished && x.relay.framing.Done() && !x.closing {
		c := parked{x.client}
		c.after(x.take(afterRelay))
		return
	}
	x.goOn(afterRelay)
}

// afterRelay goes on after a relay.
func afterRelay(x *exchange) (f *fault, handed bool) {
	x.relay.rethrow()
	delivery{x}.settle(x.over, x.err)
	return nil, false
}

// afterAnswer ends an exchange whose answer is sent.
func afterAnswer(*exchange) (f *fault, handed bool) { return nil, false }

// goOn leaves the loop, and goes on with the next step on a goroutine. Without a loop, it panics. The caller must not touch the exchange any more.
func (x driven) goOn(next step) {
	c := x.client
	if conn := x.attempt.conn; conn != nil && conn.Driven() != nil {
		transport.LeaveLoop(conn)
	}
	c.unsent = c.Driven().Release()
	x.onLoop, c.onLoop, c.x = false, false, nil
	go goOn(x.exchange, next)
}

// goOn goes on with an exchange that has left its loop, and serves the client after it.
func goOn(x *exchange, next step) {
	c, away := x.client, false
	defer func() { left(c, away, recover()) }()
	if x.over == wire.TargetFailed {
		c.unsent = nil
	}
	if err := c.sendUnsent(); err != nil {
		x.over, x.err = wire.TargetFailed, err
		clientLost(x, lostBy(err))
	}
	switch x.take(next) {
	case handed:
		away = true
	case kept:
		away = c.p.serve(c)
	}
}

// sendUnsent sends what the loop has not sent of an answer, and waits until the loop has sent what it sends.
func (c *client) sendUnsent() error {
	if c.unsent == nil {
		return nil
	}
	rest := c.unsent
	c.unsent = nil
	return c.send(rest)
}
