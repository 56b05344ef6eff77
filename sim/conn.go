package sim

import (
	"context"
	"net"
	"net/http"
)

// conn is one accepted connection. It is in the set of its life until it is closed.
type conn struct {
	net.Conn
	set  *connSet
	tail []byte // sent after the answer in progress; touched only by the connection's own goroutine
}

// Close closes the connection with a FIN.
func (c *conn) Close() error {
	c.set.remove(c)
	return c.Conn.Close()
}

// reset closes the connection with an RST. A Unix socket knows no RST and is closed.
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

// follow is called by net/http at the end of every answer.
func follow(c net.Conn, state http.ConnState) {
	own := c.(*conn)
	switch state {
	case http.StateIdle:
		if len(own.tail) > 0 {
			_, _ = own.Write(own.tail) // fails only when the client is gone
			own.tail = nil
		}
		own.set.setAnswering(own, false)
	case http.StateClosed, http.StateHijacked:
		own.set.setAnswering(own, false)
	}
}

// listener adds the connections that it accepts to a set.
type listener struct {
	net.Listener
	set *connSet
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.set.add(c), nil
}
