package wire

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tether/wire/loop"
)

// inherited adds the options of clients to those of their listener: they inherit them, so that accepting costs no call for each.
func inherited(options func(network, address string, raw syscall.RawConn) error) func(network, address string, raw syscall.RawConn) error {
	return func(network, address string, raw syscall.RawConn) error {
		err := options(network, address, raw)
		for _, o := range [...]struct{ level, name, value int }{
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAlive.Idle.Seconds())},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAlive.Interval.Seconds())},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAlive.Count},
		} {
			err = errors.Join(err, setOptionAt(raw, o.level, o.name, o.value))
		}
		return err
	}
}

// acceptor accepts clients for loops.
type acceptor = loop.Acceptor

func newAcceptor(ls *loop.Loops, l *net.TCPListener) (*acceptor, error) { return ls.NewAcceptor(l) }

// acceptOnLoop accepts the next client of l, on the loop whose turn it is. If clients must speak TLS by now, no loop gets it.
func (l *Listener) acceptOnLoop() (*Client, error) {
	accepted, err := l.acceptor.Accept()
	if err != nil {
		return nil, err
	}
	t := l.terms.Load()
	if t.tls != nil {
		conn, err := accepted.Conn()
		if err != nil {
			return nil, err
		}
		return l.watched(conn, t)
	}
	c := &Client{writeTimeout: t.writeTimeout}
	s, err := accepted.Socket(c.peerLeft)
	if err != nil {
		return nil, err
	}
	c.Conn, c.tcp, c.looped, c.driven, c.home = s, s, s, s.Driven, s.Home()
	return c, nil
}

// Near reports whether the connection is on the loop of a client, or one of them is on none. cl may be nil.
func (c *Conn) Near(cl *Client) bool {
	return cl == nil || cl.home == nil || c.home == nil || c.home == cl.home
}

// Join puts the connection on the loop of a client, which can drive it from then on. It reports false, and changes nothing, if no loop
// drives the client, if the connection is on another loop, or if the upstream speaks TLS. No other goroutine may use the connection,
// except Abort.
func (c *Conn) Join(cl *Client) bool {
	switch {
	case cl.home == nil || c.Conn != c.socket:
		return false
	case c.home != nil:
		return c.home == cl.home
	}
	of := cl.looped.(*loop.Socket)
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := of.Join(c.socket, c.raw)
	if err != nil {
		return false
	}
	c.raw, _ = s.SyscallConn() // never fails
	c.Conn, c.socket, c.looped, c.driven, c.home = s, s, s, s.Driven, s.Home()
	c.deadline = time.Time{} // that of the former socket is not set on s
	return true
}
