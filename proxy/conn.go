package proxy

import (
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tether/http1"
	"tether/wire"
)

// conn is a client's connection between the socket and fasthttp. Heads come in through the guard, one at a time:
// fasthttp never sees a byte of a body or of the next request. Nothing of fasthttp's goes out: answers are written
// by send alone, and Write drops what fasthttp would have answered.
type conn struct {
	*wire.Client
	p       *Proxy
	address netip.Addr // of the peer
	peer    []byte     // the same as text
	trusted bool       // it may speak for others
	proto   []byte     // http or https
	held    *holder    // the peer's part of the body budget

	guard http1.Guard
	whole bool        // the head was read to its end; the rest belongs to the handler
	rest  []byte      // bytes that were read from the socket and belong behind the head
	room  *[]byte     // what rest is a part of, from restRooms
	idle  atomic.Bool // waiting for a request
	ended bool        // nothing more is read

	// waits is since when the connection has been without a whole request, in nanoseconds of Unix time. Who makes it 0 decides what
	// comes of it: the request goes on, or the connection is closed for another one.
	waits atomic.Int64

	since    time.Time // when the connection was opened, or its last answer ended
	begun    time.Time // when the first byte of the head came that is being read
	headed   time.Time // when its last byte came
	deadline time.Time // of reads, as last set
}

const (
	// headTime is how long a client may take for a head, from its first byte.
	headTime = 10 * time.Second

	// restSize is the most that is read from a socket at a time for a head, and what may be left over of it.
	restSize = 16 << 10
)

var restRooms = sync.Pool{New: func() any { b := make([]byte, restSize); return &b }}

// Read gives fasthttp the bytes of the next head, as they come. A head that is refused is answered here, and for
// fasthttp the connection has ended.
func (c *conn) Read(b []byte) (int, error) {
	if c.whole || c.ended {
		return 0, c.end() // fasthttp wants more than the guard saw: whatever it is, it is over
	}
	if len(c.rest) > 0 { // pipelined
		n, err := c.check(c.rest[:min(len(c.rest), len(b))])
		copy(b, c.rest[:n])
		c.rest = c.rest[n:]
		return n, err
	}
	n, err := c.readHead(b[:min(len(b), restSize)])
	if err != nil {
		c.giveUp(err)
		return 0, c.end()
	}
	head, err := c.check(b[:n])
	c.rest = c.keep(b[head:n])
	return head, err
}

// check shows bytes to the guard and tells how many of them belong to the head.
func (c *conn) check(b []byte) (head int, err error) {
	first := !c.guard.Begun()
	if first {
		c.begun = time.Now()
		c.headed = c.begun
	}
	head, c.whole, err = c.guard.Head(b)
	if c.whole && !first {
		c.headed = time.Now()
	}
	if err != nil {
		c.refuse(faultOfGuard(err))
		return 0, c.end()
	}
	return head, nil
}

// end notes that nothing more is read, and gives what fasthttp is told of it.
func (c *conn) end() error {
	c.ended = true
	return io.EOF
}

// readHead reads from the socket within the limits for idleness and for heads.
func (c *conn) readHead(b []byte) (int, error) {
	if c.guard.Begun() {
		if err := c.readBefore(c.begun.Add(headTime), 0); err != nil {
			return 0, err
		}
		return c.Client.Read(b)
	}
	limit := c.p.cfg.ClientIdleTimeout
	if err := c.readBefore(c.since.Add(limit), limit/16); err != nil {
		return 0, err
	}
	c.idle.Store(true)
	defer c.idle.Store(false)
	if c.p.stopping.Load() {
		return 0, io.EOF
	}
	return c.Client.Read(b)
}

// keep copies bytes that were read from the socket and belong behind the head.
func (c *conn) keep(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	room := c.restRoom()
	return room[:copy(room, b)]
}

// readBefore sets the deadline of reads, to at and at most slack later: while it is so already nothing is done,
// for moving deadlines costs more than a small read.
func (c *conn) readBefore(at time.Time, slack time.Duration) error {
	if late := c.deadline.Sub(at); late >= 0 && late <= slack {
		return nil
	}
	c.deadline = at.Add(slack)
	return c.SetReadDeadline(c.deadline)
}

// giveUp ends a connection whose head did not come: with 408 if it had begun, silently if not.
func (c *conn) giveUp(err error) {
	switch {
	case !wire.IsTimeout(err):
	case c.guard.Begun():
		c.refuse(errSlowHead)
	default:
		c.p.idled.Add(1)
	}
}

// refuse answers a request of which nothing is known but that it cannot be read on.
func (c *conn) refuse(f *fault) {
	c.p.refused(f)
	_ = c.send(appendFault(nil, f, answerFields{connection: "close"}, false)) // the connection ends either way
	c.linger()
}

// next makes the connection ready, at now, for the request behind the one that was answered.
func (c *conn) next(now time.Time) {
	c.whole, c.since = false, now
	c.waits.Store(now.UnixNano())
	c.guard.Reset(int(c.p.cfg.MaxHeader), c.p.cfg.MaxHeaders)
	if len(c.rest) == 0 {
		c.freeRoom()
	}
}

// takeRest gives what was read from the socket behind the head, and the room that it lies in.
func (c *conn) takeRest() (rest, room []byte) {
	room = c.restRoom()
	rest, c.rest = c.rest, nil
	return rest, room
}

// restRoom is the room that rest lies in, or is to lie in.
func (c *conn) restRoom() []byte {
	if c.room == nil {
		c.room = restRooms.Get().(*[]byte)
	}
	return *c.room
}

func (c *conn) freeRoom() {
	if c.room != nil {
		restRooms.Put(c.room)
		c.room, c.rest = nil, nil
	}
}

// Write drops what fasthttp would have answered.
func (c *conn) Write(b []byte) (int, error) { return len(b), nil }

// send writes to the client. A client that takes nothing is cut by the kernel after client_write_timeout.
func (c *conn) send(b []byte) error {
	_, err := c.Client.Write(b)
	return err
}

// How much and how long a connection is read from, once its answer was given before the request was read to its
// end: closing at once would make the kernel send a reset, which may overtake the answer.
const (
	lingerTime  = time.Second
	lingerBytes = 16 << 20
)

// linger shuts the sending half and reads what the client still sends, for a while.
func (c *conn) linger() {
	if c.CloseWrite() != nil || c.readBefore(time.Now().Add(lingerTime), 0) != nil {
		return
	}
	room := restRooms.Get().(*[]byte)
	defer restRooms.Put(room)
	for n := 0; n < lingerBytes; {
		k, err := c.Client.Read(*room)
		if err != nil {
			return
		}
		n += k
	}
}
