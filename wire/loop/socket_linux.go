package loop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Socket is a stream connection that belongs to a loop, and to no poller of Go. Goroutines use it as a net.Conn, while it has no Driver.
//
// SyscallConn gives access to the descriptor. Only Control works: no call on the descriptor may wait, and none may read.
type Socket struct {
	*endpoint
	// Driven is the same as side. A caller that keeps it reaches it without a look at the Socket.
	Driven
	side
}

// side is the side of a Socket that its loop works with.
type side interface {
	// home is the loop.
	home() backend
	// readLocked reads without waiting. The error is unix.EAGAIN if the reader will be woken.
	readLocked(b []byte) (int, error)
	// writeLocked makes a system call that writes, without waiting. The error is unix.EAGAIN if the writer will be woken.
	writeLocked(call func() (int, error)) (int, error)
	// unreadLocked reports whether the loop has received what no Read has returned.
	unreadLocked() bool
	// closeLocked makes the end of the connection known to the loop and the kernel.
	closeLocked() error
}

// Read waits for bytes, until the read deadline.
func (s *Socket) Read(b []byte) (n int, err error) {
	err = s.retry(&s.read, func() error {
		n, err = s.readLocked(b)
		return err
	})
	switch {
	case err == io.EOF:
		return 0, io.EOF
	case err != nil:
		return 0, s.opError("read", err)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write waits until all of b is sent, after all that the loop sends, or the write deadline passes.
func (s *Socket) Write(b []byte) (n int, err error) {
	for {
		var k int
		err = s.retry(&s.written, func() error {
			k, err = s.writeLocked(func() (int, error) { return send(s.fd, b[n:]) })
			return err
		})
		if err != nil {
			return n, s.opError("write", err)
		}
		if n += k; n == len(b) {
			return n, nil
		}
	}
}

// WriteParts writes all parts, as one write if the kernel takes it. It changes parts.
func (s *Socket) WriteParts(parts net.Buffers) error {
	for len(parts) > 0 {
		var n int
		err := s.retry(&s.written, func() (err error) {
			n, err = s.writeLocked(func() (int, error) { return unix.Writev(s.fd, parts) })
			return err
		})
		if err != nil {
			return s.opError("write", err)
		}
		parts = after(parts, n)
	}
	return nil
}

// after is parts without their first n bytes.
func after(parts net.Buffers, n int) net.Buffers {
	for len(parts) > 0 && n >= len(parts[0]) {
		n -= len(parts[0])
		parts = parts[1:]
	}
	if len(parts) > 0 {
		parts[0] = parts[0][n:]
	}
	return parts
}

// CloseWrite shuts the sending half, once all is sent that the loop sends.
func (s *Socket) CloseWrite() error {
	return s.retry(&s.written, func() error {
		_, err := s.writeLocked(func() (int, error) { return 0, unix.Shutdown(s.fd, unix.SHUT_WR) })
		return err
	})
}

// Close ends the connection at once, whoever reads, writes or drives it. The descriptor may be closed soon after.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	s.read.wake()
	s.written.wake()
	return s.closeLocked()
}

// Noisy reports whether an event has arrived while no driver had the connection, since the last call: what an idle connection holds is
// perhaps beyond use.
func (s *Socket) Noisy() bool { return s.noise.Swap(false) }

// Unread reports whether the loop has received bytes, or the end, that no Read has returned. The descriptor does not show them.
func (s *Socket) Unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unreadLocked()
}

// Home stands for the loop of s: those of two Sockets are equal if both are on the same loop.
func (s *Socket) Home() any { return s.home() }

// Join puts conn, which Go's poller has, on the loop of s, and closes conn: the Socket is the connection then. raw is that of conn, which no
// other goroutine may use.
func (s *Socket) Join(conn net.Conn, raw syscall.RawConn) (*Socket, error) {
	var fd int
	var dupErr error
	err := raw.Control(func(of uintptr) { fd, dupErr = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("duplicate descriptor: %w", err)
	}
	joined, err := s.home().adopt(fd, conn.LocalAddr(), conn.RemoteAddr(), nil)
	if err != nil {
		return nil, err
	}
	_ = conn.Close()
	return joined, nil
}
