package wire

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Client is an accepted connection that knows when its peer left. Where clients speak TLS, reads and writes are those of
// the TLS connection; all else happens to the socket below it.
type Client struct {
	net.Conn
	tcp          *net.TCPConn
	watch        *Watch
	id           watchID
	writeTimeout time.Duration // as in ListenConfig

	mu    sync.Mutex
	left  bool    // guarded by mu: the peer left
	bound Aborter // guarded by mu: what ends with the peer
}

// Aborter is work that is pointless once the client has left. Abort must not block and may be called from any
// goroutine, at most once a Bind.
type Aborter interface{ Abort() }

// Bind ties a to the client: when the peer leaves before Unbind, a is aborted. It reports false, and ties
// nothing, when the peer has left already. A client has one Aborter at a time.
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

// Unbind unties what Bind tied and reports whether the peer left: closed, reset, or shut its sending half. If it did,
// Abort was called, or nothing was bound any more when it left. No Abort comes after Unbind returned.
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

// Handshake makes the TLS connection within limit; where there is no TLS it does nothing.
func (c *Client) Handshake(limit time.Duration) error {
	secure, is := c.Conn.(*tls.Conn)
	if !is {
		return nil
	}
	if err := c.tcp.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if err := secure.Handshake(); err != nil {
		return err
	}
	return c.tcp.SetDeadline(time.Time{})
}

// Secure reports whether the client speaks TLS.
func (c *Client) Secure() bool {
	_, is := c.Conn.(*tls.Conn)
	return is
}

// Close closes the connection in good order: what was written is still delivered.
func (c *Client) Close() error {
	c.watch.remove(c)
	return c.Conn.Close()
}

// Reset cuts the connection with RST, so that the peer cannot take what it got for a whole.
func (c *Client) Reset() error {
	c.watch.remove(c)
	_ = c.tcp.SetLinger(0) // fails only on a connection that is gone
	return c.tcp.Close()
}

// Drop closes a connection on which nothing is under way. It never waits, not even to say goodbye in TLS.
func (c *Client) Drop() error {
	c.watch.remove(c)
	return c.tcp.Close()
}

// Cut ends the connection from this side, whoever works for it: what is bound is aborted as if the peer had left,
// and the peer sees a reset.
func (c *Client) Cut() {
	c.peerLeft()
	_ = c.Reset() // it may be closed already
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
