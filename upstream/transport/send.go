package transport

import (
	"sync/atomic"
	"time"

	"tether/wire"
)

// Body is what follows the head of a request, in up to three parts.
type Body = wire.Parts

// sendInline is the body size up to which Send writes all bytes itself. A larger body may not fit into the sockets' buffers,
// and the answer of a server that answers before it has read the whole request must be received.
const sendInline = 64 << 10

// sending is a Send that runs on a goroutine of its own, sendAll. That goroutine reads head and body until it ends.
type sending struct {
	ended chan written // capacity 1
	// release is what the goroutine calls at its end, set by Discard; &noRelease once the goroutine has ended.
	release atomic.Pointer[func()]
}

// written is the end of a write: its result, and when it was.
type written struct {
	err error
	at  time.Time
}

var noRelease = func() {}

// Send writes a request at now. It returns no error: if the server is gone or accepts no more, Receive fails. head and body are
// lent to the connection: they must stay unchanged until Sent reports true, Keep or Close has returned, or Discard has
// released them.
func (c *Conn) Send(head []byte, body Body, now time.Time) {
	c.sendErr, c.sending, c.sentAt, c.written = nil, nil, now, now
	if body.Len() > sendInline {
		c.sending = &sending{ended: make(chan written, 1)}
		go c.sendAll(head, body, c.sending)
		return
	}
	c.sendErr = c.WriteAll(head, &body)
}

// SendNow is Send on the thread of a loop that drives the connection. Nothing is lent: the loop has what the kernel has not taken.
func (c *Conn) SendNow(head []byte, body Body, now time.Time) {
	c.sendErr, c.sending, c.sentAt, c.written = nil, nil, now, now
	c.PushAll(head, &body)
}

// SendFailed notes that the loop cannot send the request of c. An answer may arrive all the same.
func SendFailed(c *Conn, err error) { c.sendErr = err }

// LeaveLoop gives a connection back to goroutines, on the thread of the loop that drives it. A goroutine sends what the loop has not sent
// of the request: without that, a server that answers early would take the next request for the rest of this one.
func LeaveLoop(c *Conn) {
	if rest := c.Driven().Release(); rest != nil {
		c.sending = &sending{ended: make(chan written, 1)}
		go c.sendAll(rest, Body{}, c.sending)
	}
}

// sendAll is the goroutine of Send for large bodies, and of LeaveLoop. It ends when all is written or the connection is closed or shut down.
func (c *Conn) sendAll(head []byte, body Body, s *sending) {
	err := c.WriteAll(head, &body)
	s.ended <- written{err, time.Now()}
	if release := s.release.Swap(&noRelease); release != nil {
		c.Abort() // Discard may have only shut the connection down
		(*release)()
	}
}

// Sent reports whether head and body are no longer read.
func (c *Conn) Sent() bool {
	if c.sending == nil {
		return true
	}
	select {
	case w := <-c.sending.ended:
		c.sent(w)
		return true
	default:
		return false
	}
}

// SentWithin is Sent, but waits up to d for it.
func (c *Conn) SentWithin(d time.Duration) bool {
	if c.Sent() {
		return true
	}
	select {
	case w := <-c.sending.ended:
		c.sent(w)
		return true
	case <-time.After(d):
		return false
	}
}

func (c *Conn) sent(w written) { c.sendErr, c.sending, c.written = w.err, nil, w.at }

// AnsweredWithin reports whether an answer that was received at now came before the whole request was written, or within d of that.
// The write of a body up to sendInline takes no time that counts.
func (c *Conn) AnsweredWithin(d time.Duration, now time.Time) bool {
	return !c.Sent() || now.Sub(c.written) <= d
}
