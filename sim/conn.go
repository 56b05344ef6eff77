package sim

import (
	"context"
	"net"
	"net/http"
)

// conn is one accepted connection, known to its life until it is closed.
type conn struct {
	net.Conn
	life *life
	tail []byte // written after the answer in progress; touched only by the connection's own goroutine

	answering bool // guarded by life.mu; from a request's handler to the last byte of its answer, which comes after it
}

// Close closes the connection with a FIN.
func (c *conn) Close() error {
	c.life.untrack(c)
	return c.Conn.Close()
}

// reset closes the connection with an RST. A Unix socket has none: it is closed.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on a connection that is closed already
	}
	_ = c.Close()
}

// CloseWrite sends a FIN and leaves the other direction open. net/http uses it too.
func (c *conn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(r *http.Request) *conn {
	return r.Context().Value(connKey{}).(*conn)
}

// follow hears of the end of every answer.
func follow(c net.Conn, state http.ConnState) {
	own := c.(*conn)
	switch state {
	case http.StateIdle:
		own.sendTail()
		own.life.answer(own, false)
	case http.StateClosed, http.StateHijacked:
		own.life.answer(own, false)
	}
}

// sendTail writes what the fault tail left on a connection whose answer has ended.
func (c *conn) sendTail() {
	if len(c.tail) > 0 {
		_, _ = c.Write(c.tail) // a client that left already does not get it
		c.tail = nil
	}
}

// listener tracks what it accepts.
type listener struct {
	net.Listener
	life *life
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.life.track(c), nil
}
