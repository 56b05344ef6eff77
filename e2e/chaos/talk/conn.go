package talk

import (
	"bufio"
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"tether/e2e/chaos/ledger"
)

const (
	// patience bounds one request, from its first byte to the end of its answer.
	patience = time.Minute
	// redial is the pause after a refused connection.
	redial = 50 * time.Millisecond
	// smallWindow is the receive buffer of a client that will not read, in bytes.
	smallWindow = 4096
)

// conn is a client's connection.
type conn struct {
	*net.TCPConn
	r    *bufio.Reader
	used bool // it has served a request
}

// dial connects to the proxy. While the port refuses, it notes that and tries again.
func (c *Crowd) dial(ctx context.Context, deaf bool) (*conn, error) {
	d := net.Dialer{Timeout: patience}
	if deaf {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, smallWindow)
			})
		}
	}
	for deadline := time.Now().Add(patience); ; {
		begun := time.Now()
		raw, err := d.DialContext(ctx, "tcp", c.Addr)
		if err == nil {
			tcp := raw.(*net.TCPConn)
			return &conn{TCPConn: tcp, r: bufio.NewReader(tcp)}, nil
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(deadline) {
			return nil, err
		}
		c.Book.Refusal(ledger.Refusal{At: begun})
		if !sleep(ctx, redial) {
			return nil, ctx.Err()
		}
	}
}

// over reports whether the server has closed the idle connection, which clients look at before they use it again.
func (c *conn) over() (over bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		over = !errors.Is(err, syscall.EAGAIN)
		return true
	})
	return over || err != nil
}

// reset closes the connection with a reset.
func (c *conn) reset() {
	_ = c.SetLinger(0) // fails on a closed connection alone
	_ = c.Close()
}

// sleep waits. It reports false if ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
