package transport

import (
	"time"

	"tether/wire"
)

// Body is what follows the head of a request, in up to three parts.
type Body = wire.Parts

// sendInline is the body size up to which Send writes all bytes itself. A larger body may not fit into the sockets' buffers,
// and the answer of a server that answers before it has read the whole request must be received.
const sendInline = 64 << 10

// Send writes a request at now. It has no error: when the server is gone, or takes no more, Receive tells. head and body must
// stay unchanged until Sent reports true, or Keep or Close has returned.
func (c *Conn) Send(head []byte, body Body, now time.Time) {
	c.sendErr, c.sending, c.sentAt = nil, nil, now
	if body.Len() > sendInline {
		c.sending = make(chan error, 1)
		go c.sendAll(head, body, c.sending)
		return
	}
	c.sendErr = c.WriteAll(head, &body)
}

// sendAll is Send's goroutine for large bodies. It ends when all is written or the connection is closed.
func (c *Conn) sendAll(head []byte, body Body, done chan<- error) {
	done <- c.WriteAll(head, &body)
}

// Sent reports whether Send no longer needs head and body.
func (c *Conn) Sent() bool {
	if c.sending == nil {
		return true
	}
	select {
	case err := <-c.sending:
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
	case err := <-c.sending:
		c.sent(err)
		return true
	case <-time.After(d):
		return false
	}
}

func (c *Conn) sent(err error) { c.sendErr, c.sending = err, nil }
