package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tether/failure"
)

// userTimeout is TCP_USER_TIMEOUT towards upstreams: how long sent bytes may stay without a sign of the peer.
const userTimeout = 30 * time.Second

var dialOptions = socketOptions(userTimeout, 0)

// Dial connects to address on network "tcp" or "unix" within timeout, or until ctx ends, and speaks TLS as secure says, nil for
// none. Each call resolves the name again. The error is failure.Refused, Unreachable, Insecure or Exhausted.
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
	c.peek = func(fd uintptr) { c.quiet = quiet(fd) }
	return c, nil
}

// errHandshake says that there is a server, but no TLS connection that the configuration allows.
var errHandshake = errors.New("no TLS connection")

func (c *Conn) handshake(ctx context.Context, cfg *tls.Config) error {
	secure := tls.Client(belowTLS{c.socket}, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	c.Conn = secure
	return nil
}

// belowTLS is a socket whose end is a failure. crypto/tls takes a FIN between two records for the end of the TLS stream, which
// only close_notify is: an answer that ends with its connection would pass for whole after a cut. Neither io.EOF nor
// io.ErrUnexpectedEOF would do, as crypto/tls turns both into io.EOF there.
type belowTLS struct{ net.Conn }

var errNoCloseNotify = errors.New("closed without close_notify")

func (s belowTLS) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if err == io.EOF {
		err = errNoCloseNotify
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
		return failure.Unreachable // localhost resolves to ::1 first, also where IPv6 is off
	}
	switch no {
	case unix.ECONNREFUSED, unix.ENOENT: // ENOENT: the unix socket does not exist
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
