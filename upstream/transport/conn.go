// Package transport carries requests to vLLM servers and answers back: where a server listens (Address), the idle connections to
// it (Pool), and one connection with one request at a time (Conn). It speaks HTTP/1.1 by the rules of http1, over the sockets
// of wire.
//
// It neither decides where a request goes nor whether it is tried again; an attempt that fails ends with a failure.Kind.
//
// Goroutines: sendAll, one for each large request body or rest of a request that a loop has not sent, owned by its Conn.
package transport

import (
	"time"

	"tether/wire"
)

// Conn is a connection to a server. One request at a time holds it: Pool.TakeIdle or Pool.Dial, Send, Receive, then Keep,
// Close or Discard, one of the three on every way out. Its methods are for one goroutine at a time, except Abort.
type Conn struct {
	*wire.Conn
	pool      *Pool
	reused    bool
	idleSince time.Time

	early   []byte // of the answer, for Receive
	sendErr error
	sending *sending  // nil unless sendAll may still run
	sentAt  time.Time // when Send began
	written time.Time // when the whole request was written, if Sent reports true
}

// Keep gives the connection back to its pool at now, for the next request. The caller has read a to its end, and nothing
// after it. A connection that cannot be used again is closed: Keep waits, as Close does, unless Sent reports true.
func (c *Conn) Keep(a *Answer, now time.Time) {
	if a.Close || !c.Sent() || c.sendErr != nil {
		c.Close()
		return
	}
	c.pool.put(c, now)
}

// Close closes the connection, which tells the server to stop working on the request, and waits until Send has ended. Then head
// and body belong to the caller again.
func (c *Conn) Close() {
	c.Abort()
	if c.sending != nil {
		c.sent(<-c.sending.ended)
	}
}

// Abort closes the connection at once, whoever reads or writes it. The request that holds the connection must still call Close or
// Discard.
func (c *Conn) Abort() {
	c.pool.remove(c)
	c.Drop()
}

// Discard is Close for a caller that must not wait, such as the thread of an event loop. A sender that is still writing keeps
// head and body until it ends, soon after. release is called once neither is read any more: before Discard returns if the sender
// has ended, else on the sender's goroutine. release must not block and must not panic.
func (c *Conn) Discard(release func()) {
	if s := c.sending; s != nil {
		c.Conn.Abort() // not Drop, which waits until the sender's write has returned
		later := release
		if s.release.CompareAndSwap(nil, &later) {
			return
		}
	}
	c.Abort()
	release()
}
