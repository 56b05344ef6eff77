package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tether/failure"
)

// Conn is a connection to an upstream. Where that speaks TLS, reads and writes are those of the TLS connection, and only one that the
// upstream ended in TLS ends with io.EOF.
type Conn struct {
	net.Conn
	socket   net.Conn // below TLS, the same as Conn without
	raw      syscall.RawConn
	look     func(fd uintptr) // sets quiet; made once, for Stale
	quiet    bool
	deadline time.Time // of reads, as last set
}

// userTimeout is TCP_USER_TIMEOUT towards upstreams: how long sent bytes may stay without a sign of the peer.
const userTimeout = 30 * time.Second

var dialOptions = socketOptions(userTimeout, 0)

// Dial connects to address on network "tcp" or "unix" within timeout, or until ctx ends, and speaks TLS as secure says,
// nil for none. Names are resolved anew at each call. The error is failure.Refused, Unreachable, Insecure or Exhausted.
func Dial(ctx context.Context, network, address string, secure *tls.Config, timeout time.Duration) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d := net.Dialer{KeepAliveConfig: keepAlive, Control: dialOptions}
	socket, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, kindOf(err)
	}
	c := &Conn{Conn: socket, socket: socket}
	if c.raw, err = socket.(syscall.Conn).SyscallConn(); err == nil && secure != nil {
		err = c.handshake(ctx, secure)
	}
	if err != nil {
		_ = socket.Close()
		return nil, kindOf(err)
	}
	c.look = func(fd uintptr) { c.quiet = quiet(fd) }
	return c, nil
}

// errHandshake tells that there is a server, but no TLS connection that the configuration allows.
var errHandshake = errors.New("no TLS connection")

func (c *Conn) handshake(ctx context.Context, cfg *tls.Config) error {
	secure := tls.Client(belowTLS{c.socket}, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	c.Conn = secure
	return nil
}

// belowTLS is a socket whose end is a failure. crypto/tls takes a FIN between two records for the end of what TLS carries, which
// only close_notify is: where an answer ends with its connection, one that was cut would pass for whole. Neither io.EOF nor
// io.ErrUnexpectedEOF would do, as both become io.EOF there.
type belowTLS struct{ net.Conn }

var errNoGoodbye = errors.New("closed without close_notify")

func (s belowTLS) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if err == io.EOF {
		err = errNoGoodbye
	}
	return n, err
}

// kindOf is the kind of a failed dial. A timeout and the end of the context are failure.Unreachable.
func kindOf(err error) failure.Kind {
	var name *net.DNSError
	if errors.As(err, &name) && (strings.Contains(name.Err, unix.EMFILE.Error()) || strings.Contains(name.Err, unix.ENFILE.Error())) {
		return failure.Exhausted // the resolver keeps only the text
	}
	if errors.Is(err, errHandshake) {
		return failure.Insecure
	}
	var no syscall.Errno
	if !errors.As(err, &no) {
		return failure.Unreachable
	}
	var op *net.OpError
	if no == unix.EADDRNOTAVAIL && errors.As(err, &op) && isLoopback6(op.Addr) {
		return failure.Unreachable // what localhost comes to first where IPv6 is off
	}
	switch no {
	case unix.ECONNREFUSED, unix.ENOENT: // ENOENT: a unix socket that is not there
		return failure.Refused
	case unix.EMFILE, unix.ENFILE, unix.EADDRNOTAVAIL, unix.ENOBUFS, unix.ENOMEM:
		return failure.Exhausted
	}
	return failure.Unreachable
}

func isLoopback6(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.To4() == nil && tcp.IP.IsLoopback()
}

// Abort closes the connection at once, whoever reads or writes it. It implements Aborter: the close tells the upstream to stop.
// It waits for no peer, but until reads and writes under way on other goroutines have returned.
func (c *Conn) Abort() { _ = c.socket.Close() }

// Shut ends both directions of the connection at once: reads and writes under way fail soon after. Unlike Abort it does not wait
// until they have returned. The connection must still be closed.
func (c *Conn) Shut() {
	_ = c.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) }) // fails only on a connection that is gone
}

// Stale reports, without waiting, whether an idle connection is beyond use: the peer closed it, or sent bytes
// that nobody asked for.
func (c *Conn) Stale() bool {
	err := c.raw.Control(c.look)
	return err != nil || !c.quiet || c.Conn != c.socket && c.holdsBytes()
}

// holdsBytes reports whether the TLS connection has read bytes from the socket that nobody took: what lies behind an
// answer must not become the next one's beginning.
func (c *Conn) holdsBytes() bool {
	var b [1]byte
	if c.SetReadDeadline(past) != nil {
		return true
	}
	_, err := c.Conn.Read(b[:])
	c.deadline = past
	return !IsTimeout(err)
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Parts are bytes in up to three parts.
type Parts [3][]byte

// Len is the length of the whole.
func (p *Parts) Len() int { return len(p[0]) + len(p[1]) + len(p[2]) }

// WriteAll writes head and the parts of body, as one write where the kernel takes it. Where body fits into head's spare
// capacity it is copied there, which costs less than a vector.
func (c *Conn) WriteAll(head []byte, body *Parts) error {
	if body.Len() <= cap(head)-len(head) {
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

// Stalled reports whether err is of a write to a peer that took nothing for as long as it may (ListenConfig.WriteTimeout).
func Stalled(err error) bool { return errors.Is(err, unix.ETIMEDOUT) }

// IsTimeout reports whether err is a read or write limit that was reached.
func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
