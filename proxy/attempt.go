package proxy

import (
	"context"
	"errors"
	"time"

	"tether/failure"
	"tether/http1"
	"tether/upstream"
	"tether/upstream/transport"
	"tether/wire/loop"
)

// Try is one attempt of a request, as metrics count it.
type Try struct {
	Upstream *upstream.Upstream
	Failure  failure.Kind
	// Began is when the attempt began. Ended is when it had failed, or when the head of the answer had arrived.
	Began, Ended time.Time
}

// Charged reports whether the attempt failed in a way that is charged to its upstream.
func (t Try) Charged() bool { return consequences[t.Failure].charged }

// attempt is what a request holds at an upstream: while it is tried there, and then until the end of the answer.
//
// request waits for the upstream in dial, await in receive, and outcome waits too. drop waits for the goroutine that sends a large body.
type attempt struct {
	up     *upstream.Upstream // nil before and after
	began  time.Time
	conn   *transport.Conn // bound to the client once bind has succeeded; nil before and after
	head   []byte          // of the request to the upstream, lent to conn
	answer transport.Answer
	buf    *[]byte     // the read buffer of the answer, from answerBuffers; nil until a goroutine reads
	looped loop.Driven // conn, as the client's loop drives it; nil if it cannot

	client    *client           // that asks
	onInterim func(*http1.Head) // passInterim, made once
}

// request sends the request that o describes to the upstream. With fresh, it takes no idle connection. The error is a failure.Kind; after it
// there is no connection. On the thread of a loop, which must not dial, the error is errMustDial if there is no idle connection. request
// moves now on after each wait.
func (a *attempt) request(o *outbound, fresh, onLoop bool, s *settings, now *time.Time) error {
	if a.conn == nil && (fresh || !a.takeIdle(o.client, *now)) {
		if onLoop {
			return errMustDial
		}
		err := a.dial(o.client, s.ConnectTimeout)
		*now = time.Now()
		if err != nil {
			return err
		}
	}
	a.client = o.client
	a.looped = nil
	if o.request.socketKey == nil && a.conn.Join(o.client.Client) {
		a.looped = a.conn.Driven()
	}
	if onLoop && a.looped == nil {
		return errMustDial
	}
	if err := a.bind(o.client); err != nil {
		return err
	}
	a.send(o, onLoop, *now)
	return nil
}

// errMustDial says that a goroutine must make the request.
var errMustDial = errors.New("no idle connection")

// await waits for the head of the answer. The error is a failure.Kind; after it there is no connection. It moves now on.
func (a *attempt) await(r *request, s *settings, now *time.Time) error {
	if a.buf == nil {
		a.buf = answerBuffers.Get().(*[]byte)
	}
	err := a.receive(r.socketKey, s.HeadTimeout)
	*now = time.Now()
	if err == nil {
		a.headArrived(r, *now)
		return nil
	}
	return a.lost(err)
}

// headArrived notes that the head of the answer arrived at now.
func (a *attempt) headArrived(r *request, now time.Time) {
	a.answer.ToHEAD = r.isHEAD()
	a.up.Delivered(now)
}

// lost gives up the connection after err, a failure.Kind, and returns failure.ClientGone if the client left meanwhile.
func (a *attempt) lost(err error) error {
	if a.drop(a.client) {
		return failure.ClientGone
	}
	return err
}

// begin begins an attempt at u.
func (a *attempt) begin(u *upstream.Upstream, now time.Time) {
	a.up, a.began = u, now
}

// takeIdle takes an idle connection to the upstream, and reports whether there was one.
func (a *attempt) takeIdle(c *client, now time.Time) bool {
	a.conn = a.up.TakeIdle(now, transport.Taker{Client: c.Client, OnLoop: c.onLoop})
	return a.conn != nil
}

// maxRedials bounds the further dials of one attempt that found no free descriptor. A descriptor that was freed for it may be taken
// by another request.
const maxRedials = 4

// dial opens a connection to the upstream. It ends when the client leaves. If the process is out of descriptors, dial frees some.
func (a *attempt) dial(c *client, timeout time.Duration) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !c.Bind(aborter(cancel)) {
		return failure.ClientGone
	}
	conn, err := a.up.Dial(ctx, timeout)
	for n := 0; err == failure.Exhausted && n < maxRedials && freeDescriptor(c.p); n++ {
		conn, err = a.up.Dial(ctx, timeout)
	}
	switch left := c.Unbind(); {
	case !left:
		a.conn = conn
		return err
	case conn != nil:
		conn.Close() // nothing was sent
	}
	return failure.ClientGone
}

// aborter makes a function a wire.Aborter.
type aborter func()

func (a aborter) Abort() { a() }

// bind ties the connection to the client: until the end of the answer, the connection is closed if the client leaves.
func (a *attempt) bind(c *client) error {
	if c.Bind(a.conn.Conn) {
		return nil
	}
	a.conn.Close() // nothing was sent
	a.conn = nil
	return failure.ClientGone
}

// send sends the request that o describes. A failure shows when the answer is received.
func (a *attempt) send(o *outbound, onLoop bool, now time.Time) {
	clear(a.head) // of an earlier attempt, which may have been longer
	a.head = o.append(a.head[:0], a.up)
	if onLoop {
		a.conn.SendNow(a.head, o.body, now)
		return
	}
	a.conn.Send(a.head, o.body, now)
}

// receive waits for the head of the answer. Only a handshake, with its socketKey, may be answered by another protocol, and only if
// the upstream shows that it read that key: otherwise a request that was no WebSocket to the upstream could open a tunnel.
func (a *attempt) receive(socketKey []byte, limit time.Duration) (err error) {
	if socketKey == nil {
		a.answer, err = a.conn.Receive(*a.buf, limit, a.onInterim)
		return err
	}
	a.answer, err = a.conn.ReceiveSwitch(*a.buf, limit, a.onInterim)
	if err == nil && a.answer.Status == 101 && !a.answer.Switches(socketKey) {
		return failure.BadHead
	}
	return err
}

// passInterim passes an interim answer of the upstream on to the client (RFC 9110 15.2), unless the client speaks HTTP/1.0, which has
// none. The attempt may still fail.
func (a *attempt) passInterim(h *http1.Head) {
	if !a.client.guard.HTTP10() {
		_ = a.client.send(appendInterimHead(nil, h, a.up.Address().Prefix)) // if it fails, so will the answer
	}
}

// outcome classifies the answer, whose head arrived at now, by what it says about the upstream. It may read the body of a 500 or
// 503, within limit; the bytes stay with the answer.
func (a *attempt) outcome(now time.Time, limit time.Duration) failure.Kind {
	status := a.answer.Status
	if status != 500 && status != 503 {
		return failure.None
	}
	switch k := a.refusal(limit); {
	case k != failure.None || status == 500:
		return k
	case a.conn.AnsweredWithin(atOnce, now):
		return failure.Declined
	}
	return failure.Busy
}

// atOnce is how soon after the end of its request a 503 means that the server has not begun to work. Gateways and servers that refuse
// at the door answer within milliseconds. A prompt that kills an engine was tokenized, scheduled and computed before.
const atOnce = 100 * time.Millisecond

// refusal is the kind of the refusal that the answer is in vLLM's own words, None if it is none. It reads the body within limit.
func (a *attempt) refusal(limit time.Duration) failure.Kind {
	if r := &a.answer; r.Length > maxRefusal || r.Length < 0 && !r.Chunked {
		return failure.None
	}
	body, err := a.conn.ReadBody(&a.answer, maxRefusal, min(refusalTime, limit))
	if err != nil {
		return failure.None
	}
	return refusalOf(a.answer.Status, body)
}

// drop closes the connection, if there is one, and reports whether the client left meanwhile. It waits until the request is no longer
// being sent.
func (a *attempt) drop(c *client) (left bool) {
	if a.conn == nil {
		return false
	}
	left = c.Unbind()
	if c.onLoop && a.looped != nil {
		a.looped.Release() // so that the loop does not tell of the end
	}
	a.conn.Close()
	a.conn, a.looped = nil, nil
	return left
}

// reset forgets the attempt. The caller has dropped the connection.
func (a *attempt) reset() {
	if a.buf != nil {
		answerBuffers.Put(a.buf)
	}
	clear(a.head)
	*a = attempt{head: a.head[:0], onInterim: a.onInterim}
}
