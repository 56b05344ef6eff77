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
	ended chan error // capacity 1: the result of the write
	// release is what the goroutine calls at its end, set by Discard; &noRelease once the goroutine has ended.
	release atomic.Pointer[func()]
}

var noRelease = func() {}

// Send writes a request at now. It has no error: when the server is gone, or takes no more, Receive tells. head and body are
// lent to the connection: they must stay unchanged until Sent reports true, Keep or Close has returned, or Discard has
// released them.
func (c *Conn) Send(head []byte, body Body, now time.Time) {
	c.sendErr, c.sending, c.sentAt = nil, nil, now
	if body.Len() > sendInline {
		c.sending = &sending{ended: make(chan error, 1)}
		go c.sendAll(head, body, c.sending)
		return
	}
	c.sendErr = c.WriteAll(head, &body)
}

// sendAll is Send's goroutine for large bodies. It ends when all is written or the connection is closed or shut down.
func (c *Conn) sendAll(head []byte, body Body, s *sending) {
	s.ended <- c.WriteAll(head, &body)
	if release := s.release.Swap(&noRelease); release != nil {
		c.Abort() // Discard has only shut the connection down
		(*release)()
	}
}

// Sent reports whether head and body are no longer read.
func (c *Conn) Sent() bool {
	if c.sending == nil {
		return true
	}
	select {
	case err := <-c.sending.ended:
		c.sent(err)
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
	case err := <-c.sending.ended:
		c.sent(err)
		return true
	case <-time.After(d):
		return false
	}
}

func (c *Conn) sent(err error) { c.sendErr, c.sending = err, nil }
