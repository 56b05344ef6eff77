package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection to an upstream.
type Conn struct {
	net.Conn
	raw      syscall.RawConn
	look     func(fd uintptr) // sets quiet; made once, for Stale
	quiet    bool
	deadline time.Time // of reads, as last set
}

// userTimeout is TCP_USER_TIMEOUT towards upstreams: how long sent bytes may stay without a sign of the peer.
const userTimeout = 30 * time.Second

// Dial connects to address on network "tcp" or "unix" within timeout, or until ctx ends. Names are resolved anew
// at each call. See TroubleOf for its errors.
func Dial(ctx context.Context, network, address string, timeout time.Duration) (*Conn, error) {
	d := net.Dialer{Timeout: timeout, KeepAliveConfig: keepAlive, Control: setUserTimeout(userTimeout)}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	c := &Conn{Conn: conn, raw: raw}
	c.look = func(fd uintptr) { c.quiet = quiet(fd) }
	return c, nil
}

// Trouble is the kind of a failed Dial.
type Trouble uint8

const (
	// Refused says that somebody answered that nobody listens there.
	Refused Trouble = iota + 1
	// Unreachable says that there was no answer in time, no route, or no such name.
	Unreachable
	// Exhausted says that this process or host is out of descriptors, ports or memory, and nothing of the upstream.
	Exhausted
)

// TroubleOf tells what kind of trouble a Dial ran into.
func TroubleOf(err error) Trouble {
	var name *net.DNSError
	if errors.As(err, &name) && (strings.Contains(name.Err, unix.EMFILE.Error()) || strings.Contains(name.Err, unix.ENFILE.Error())) {
		return Exhausted // the resolver keeps only the text
	}
	var no syscall.Errno
	if !errors.As(err, &no) {
		return Unreachable
	}
	var op *net.OpError
	if no == unix.EADDRNOTAVAIL && errors.As(err, &op) && isLoopback6(op.Addr) {
		return Unreachable // what localhost comes to first where IPv6 is off
	}
	switch no {
	case unix.ECONNREFUSED, unix.ENOENT: // ENOENT: a unix socket that is not there
		return Refused
	case unix.EMFILE, unix.ENFILE, unix.EADDRNOTAVAIL, unix.ENOBUFS, unix.ENOMEM:
		return Exhausted
	}
	return Unreachable
}

func isLoopback6(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.To4() == nil && tcp.IP.IsLoopback()
}

// Abort closes the connection at once, whoever reads or writes it. It implements Aborter: closing is how an
// upstream learns to stop.
func (c *Conn) Abort() { _ = c.Conn.Close() }

// Stale reports, without waiting, whether an idle connection is beyond use: the peer closed it, or sent bytes
// that nobody asked for.
func (c *Conn) Stale() bool {
	err := c.raw.Control(c.look)
	return err != nil || !c.quiet
}

// WriteAll writes head and the parts of body, as one write where the kernel takes it. Where body fits into head's spare
// capacity it is copied there, which costs less than a vector.
func (c *Conn) WriteAll(head []byte, body *[3][]byte) error {
	if len(body[0])+len(body[1])+len(body[2]) <= cap(head)-len(head) {
		_, err := c.Write(append(append(append(head, body[0]...), body[1]...), body[2]...))
		return err
	}
	parts := net.Buffers{head, body[0], body[1], body[2]}
	_, err := parts.WriteTo(c.Conn)
	return err
}

// deadlineSlack is the part of an idle limit by which it may come late: moving a deadline at every read of a
// stream would cost more than the read's parsing.
const deadlineSlack = 16

// ReadWithin limits the next Read to d from now, or up to 1/16 more.
func (c *Conn) ReadWithin(now time.Time, d time.Duration) error {
	if want := now.Add(d); c.deadline.Before(want) || c.deadline.After(want.Add(d/deadlineSlack)) {
		c.deadline = want.Add(d / deadlineSlack)
		return c.SetReadDeadline(c.deadline)
	}
	return nil
}

// IsTimeout reports whether err is a read or write limit that was reached.
func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
