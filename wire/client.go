package wire

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"tether/wire/loop"
)

// Client is an accepted connection that knows when its peer left. Where clients speak TLS, reads and writes are those of
// the TLS connection; everything else acts on the socket below it.
type Client struct {
	net.Conn
	tcp          lower
	watch        *Watch // nil if a loop watches
	id           watchID
	looped       looped        // the same as Conn; nil without a loop
	driven       loop.Driven   // that of looped
	home         any           // stands for the loop
	writeTimeout time.Duration // as in ListenConfig

	mu    sync.Mutex
	left  bool    // guarded by mu: the peer left
	bound Aborter // guarded by mu: what is aborted when the peer leaves
}

// Aborter is work that is pointless once the client has left. Abort may be called from any goroutine, at most once for
// each Bind. It must not wait for a peer.
type Aborter interface{ Abort() }

// Bind ties a to the client: if the peer leaves before Unbind, a is aborted. If the peer has left already, Bind returns false
// and ties nothing. A client has one Aborter at a time.
func (c *Client) Bind(a Aborter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return false
	}
	if c.bound != nil {
		panic("BUG: client bound twice")
	}
	c.bound = a
	return true
}

// Unbind unties what Bind tied and reports whether the peer left: it closed, reset, or shut its sending half. In that case Abort
// was called, unless nothing was bound when the peer left. No Abort is called after Unbind has returned.
func (c *Client) Unbind() (left bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound = nil
	return c.left
}

// peerLeft is called by the watch.
func (c *Client) peerLeft() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
	if c.bound != nil {
		c.bound.Abort()
		c.bound = nil
	}
}

// ErrPlainHTTP says that a client sent an HTTP request where the listener speaks TLS.
var ErrPlainHTTP = errors.New("an HTTP request without TLS")

// Handshake makes the TLS connection within limit; it does nothing where the listener speaks no TLS. After ErrPlainHTTP, reads and
// writes are those of the socket below TLS, and a part of the request has been read.
func (c *Client) Handshake(limit time.Duration) error {
	secure, is := c.Conn.(*tls.Conn)
	if !is {
		return nil
	}
	if err := c.tcp.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if err := secure.Handshake(); err != nil {
		var first tls.RecordHeaderError
		if errors.As(err, &first) && first.Conn != nil && beginsHTTP(first.RecordHeader) {
			c.Conn = c.tcp
			return ErrPlainHTTP
		}
		return err
	}
	return c.tcp.SetDeadline(time.Time{})
}

// beginsHTTP reports whether the first bytes of a connection are those of an HTTP request: a method in capitals, or its beginning.
func beginsHTTP(first [5]byte) bool {
	for i, b := range first {
		if b < 'A' || b > 'Z' {
			return i > 0 && b == ' '
		}
	}
	return true
}

// Secure reports whether the client speaks TLS.
func (c *Client) Secure() bool {
	_, is := c.Conn.(*tls.Conn)
	return is
}

// Driven returns the connection as an event loop drives it, nil if none does: under TLS, or without Loops.
func (c *Client) Driven() loop.Driven { return c.driven }

// Quiet reports, without waiting, whether the peer has sent nothing that was not read yet, and has not left.
func (c *Client) Quiet() (is bool) {
	raw, err := c.tcp.SyscallConn()
	return err == nil && raw.Control(func(fd uintptr) { is = quiet(fd) }) == nil && is && (c.looped == nil || !c.looped.Unread())
}

// Close closes the connection in good order: bytes that were written are still delivered.
func (c *Client) Close() error {
	c.unwatch()
	return c.Conn.Close()
}

// unwatch ends the watch before the descriptor is closed. A loop does that itself.
func (c *Client) unwatch() {
	if c.watch != nil {
		c.watch.remove(c)
	}
}

// Reset cuts the connection with RST, so that the peer cannot take the bytes it received for a whole answer.
func (c *Client) Reset() error {
	c.unwatch()
	_ = c.tcp.SetLinger(0) // fails only on a connection that is gone
	return c.tcp.Close()
}

// Drop closes a connection on which nothing is under way. It sends no close_notify in TLS, so it never waits.
func (c *Client) Drop() error {
	c.unwatch()
	return c.tcp.Close()
}

// Cut ends the connection from this side while other goroutines work for it: what is bound is aborted as if the peer had
// left, and the peer sees a reset.
func (c *Client) Cut() {
	c.peerLeft()
	_ = c.Reset() // the connection may be closed already
}

// CloseWrite shuts the sending half: the peer reads what was written, and then the end.
func (c *Client) CloseWrite() error {
	if secure, is := c.Conn.(*tls.Conn); is {
		if err := secure.CloseWrite(); err != nil {
			return err
		}
	}
	return c.tcp.CloseWrite()
}
