package proxy

import (
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"tether/http1"
	"tether/wire"
)

// client is a client's connection and the state that its requests share. Heads arrive through the guard, one at a time: the parser
// never sees a byte of a body or of the next request. Answers leave by send alone.
//
// A client belongs to the goroutine that serves it, or to the thread of a loop, except waitingSince and idle.
type client struct {
	*wire.Client
	p       *Proxy
	parser  *parser    // of all its heads
	address netip.Addr // of the peer
	peer    []byte     // address as text
	relays  bool       // the peer was a trusted proxy when it connected: it brings many clients
	proto   []byte     // http or https
	account *account   // the peer's part of the body budget

	guard *http1.Guard // of the present request, from guards; nil before its first byte, and once the rest of its answer is relayed
	fresh bool         // the guard has seen no byte of the next head
	whole bool         // the head was read to its end; what follows belongs to the exchange
	rest  []byte       // bytes that were read from the socket and belong after the head
	buf   *[]byte      // that rest lies in, from clientBuffers

	// onLoop says that the connection belongs to the thread of its loop. See loop.go.
	onLoop bool
	x      *exchange // that the loop drives, nil between requests
	unsent []byte    // what a loop has not sent of an answer

	// idle says that the first byte of a request is awaited.
	idle atomic.Bool
	// waitingSince is when the connection began to wait for a whole request (Unix ns), 0 while a request is served. For the first
	// request it is firstRequestTime later. The thread that swaps it to 0 owns the connection's fate: enter serves the request, makeRoom closes the connection.
	waitingSince atomic.Int64

	since    time.Time // when the connection was opened, or its last answer ended
	begun    time.Time // when the first byte of the present head arrived
	headed   time.Time // when its last byte arrived
	deadline time.Time // of reads, as last set
}

// headTime is how long a client may take for a head, from its first byte.
const headTime = 10 * time.Second

// isNew reports whether the connection was opened less than firstRequestTime before now, and has sent no request yet.
func isNew(c *client, now time.Time) bool { return c.waitingSince.Load() > now.UnixNano() }

// next makes the client ready, at now, for the request that follows the one that was answered.
func (c *client) next(now time.Time) {
	c.whole, c.since = false, now
	c.waitingSince.Store(now.UnixNano())
	freeGuard(c)
	c.fresh = true
	if len(c.rest) == 0 {
		c.freeBuffer()
	}
}

// readHead puts the next head into b, which the guard lets no head fill. It reports false when the connection has ended: a head that is
// refused, or takes too long, is answered here.
func (c *client) readHead(b []byte) (n int, more bool) {
	for !c.whole {
		k, more := readPart(c, b[n:])
		if !more {
			return 0, false
		}
		n += k
	}
	return n, true
}

// readPart puts the next bytes of a head into b, as they arrive. It reports false when the connection has ended.
func readPart(c *client, b []byte) (n int, more bool) {
	if len(c.rest) > 0 { // pipelined
		n, more = c.check(c.rest[:min(len(c.rest), len(b))])
		copy(b, c.rest[:n])
		c.rest = c.rest[n:]
		return n, more
	}
	received, err := c.receiveHead(b[:min(len(b), clientBuffer)])
	if err != nil {
		c.giveUp(err)
		return 0, false
	}
	n, more = c.check(b[:received])
	c.keepRest(b[n:received])
	return n, more
}

// check shows bytes to the guard and gives how many of them belong to the head. It reports false when the guard refused them.
func (c *client) check(b []byte) (n int, ok bool) {
	if c.fresh {
		c.fresh = false
		takeGuard(c)
	}
	first := !c.guard.Begun()
	if first {
		c.begun = time.Now()
		c.headed = c.begun
	}
	var err error
	n, c.whole, err = c.guard.Head(b)
	if c.whole && !first {
		c.headed = time.Now()
	}
	if err != nil {
		c.refuse(faultOfGuard(err), b)
		return 0, false
	}
	return n, true
}

// receiveHead reads from the socket within the limits for idle connections and for heads.
func (c *client) receiveHead(b []byte) (int, error) {
	if headBegun(c) {
		if err := c.readBefore(c.begun.Add(headTime), 0); err != nil {
			return 0, err
		}
		return c.Read(b)
	}
	limit := c.p.settings.Load().ClientIdleTimeout
	if err := c.readBefore(c.since.Add(limit), limit/16); err != nil {
		return 0, err
	}
	c.idle.Store(true)
	defer c.idle.Store(false)
	if c.p.clients.stopping.Load() && !isNew(c, time.Now()) && c.Quiet() {
		return 0, io.EOF
	}
	return c.Read(b)
}

// giveUp ends a connection on which no whole head arrived: with 408 if one had begun, silently if not.
func (c *client) giveUp(err error) {
	switch {
	case !wire.IsTimeout(err):
	case headBegun(c):
		c.refuse(faultSlowHead, nil)
	default:
		c.p.clients.idleClosed.Add(1)
	}
}

// refuse answers a request after which the connection cannot be read any further. Nothing else is known of that request than head,
// what was read of it last.
func (c *client) refuse(f *fault, head []byte) {
	c.p.refused(f)
	own := answerFields{connection: "close", cors: c.p.settings.Load().cors}
	if own.cors != nil {
		own.origin = own.cors.originIn(head)
	}
	_ = c.send(appendFault(nil, f, own, statelessAPI)) // the connection ends either way
	c.linger()
}

// keepRest copies bytes that were read from the socket and belong after the head.
func (c *client) keepRest(b []byte) {
	c.rest = nil
	if len(b) > 0 {
		buf := c.restBuffer()
		c.rest = buf[:copy(buf, b)]
	}
}

// takeRest gives the bytes that were read from the socket after the head, and the buffer that they lie in.
func (c *client) takeRest() (rest, buf []byte) {
	buf = c.restBuffer()
	rest, c.rest = c.rest, nil
	return rest, buf
}

// restBuffer is the buffer for rest.
func (c *client) restBuffer() []byte {
	if c.buf == nil {
		c.buf = clientBuffers.Get().(*[]byte)
	}
	return *c.buf
}

func (c *client) freeBuffer() {
	if c.buf != nil {
		clientBuffers.Put(c.buf)
		c.buf, c.rest = nil, nil
	}
}

// takeGuard makes a guard ready for the next head.
func takeGuard(c *client) {
	if c.guard == nil {
		c.guard = guards.Get().(*http1.Guard)
	}
	s := c.p.settings.Load()
	c.guard.Reset(min(int(s.MaxHeader), c.parser.maxHead), s.MaxHeaders)
}

func freeGuard(c *client) {
	if c.guard != nil {
		guards.Put(c.guard)
		c.guard = nil
	}
}

// headBegun reports whether a head has begun to arrive.
func headBegun(c *client) bool { return c.guard != nil && c.guard.Begun() }

// readBefore sets the deadline of reads to at, or to up to slack later: a deadline that lies there already stays, for moving it
// costs more than a small read.
func (c *client) readBefore(at time.Time, slack time.Duration) error {
	if late := c.deadline.Sub(at); late >= 0 && late <= slack {
		return nil
	}
	c.deadline = at.Add(slack)
	return c.SetReadDeadline(c.deadline)
}

// connection is what an answer says of the connection, "" for nothing.
func (c *client) connection(closing bool) string {
	switch {
	case closing:
		return "close"
	case c.guard.HTTP10():
		return "keep-alive"
	}
	return ""
}

// send writes to the client. The kernel cuts a client that takes nothing for client_write_timeout.
// On the thread of a loop, the loop sends b later, and tells the exchange.
func (c *client) send(b []byte) (err error) {
	if c.onLoop {
		c.Driven().Push(b)
	} else {
		_, err = c.Write(b)
	}
	return err
}

// How much and how long a connection is read from, once its answer was given before the request was read to its
// end: closing at once would make the kernel send a reset, which may overtake the answer.
const (
	lingerTime  = time.Second
	lingerBytes = 16 << 20
)

// linger shuts the sending half and reads what the client still sends, for a while.
func (c *client) linger() {
	if c.CloseWrite() != nil || c.readBefore(time.Now().Add(lingerTime), 0) != nil {
		return
	}
	buf := clientBuffers.Get().(*[]byte)
	defer clientBuffers.Put(buf)
	for n := 0; n < lingerBytes; {
		k, err := c.Read(*buf)
		if err != nil {
			return
		}
		n += k
	}
}
