package loop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is a stream connection whose descriptor is in the epoll set of a loop, and in no other. Goroutines use it as a net.Conn. A Driver
// gets its events on the thread of the loop: Socket implements Driven.
type Socket struct {
	driven
	local, remote net.Addr
}

// waiter is a goroutine that waits for a socket, and its deadline.
type waiter struct {
	event    chan struct{} // capacity 1; nil until a goroutine has waited
	deadline time.Time
}

// wake makes the goroutine, if one waits, try again.
func (w *waiter) wake() {
	select {
	case w.event <- struct{}{}:
	default: // nil, or already awake
	}
}

// Read waits for bytes, until the read deadline.
func (s *Socket) Read(b []byte) (n int, err error) {
	err = s.retry(&s.read, func() error {
		n, err = recv(s.fd, b)
		return err
	})
	if err != nil {
		return 0, s.opError("read", err)
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write waits until all of b is sent, or the write deadline passes.
func (s *Socket) Write(b []byte) (n int, err error) {
	for n < len(b) {
		var k int
		err = s.retry(&s.written, func() error {
			k, err = send(s.fd, b[n:])
			return err
		})
		if err != nil {
			return n, s.opError("write", err)
		}
		n += k
	}
	return n, nil
}

// retry makes the system call until it does not fail for lack of bytes or of space, and waits as w between two calls.
func (s *Socket) retry(w *waiter, call func() error) error {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return net.ErrClosed
		}
		deadline := w.deadline
		if !deadline.IsZero() && !time.Now().Before(deadline) {
			s.mu.Unlock()
			return os.ErrDeadlineExceeded
		}
		err := call()
		if err != unix.EAGAIN {
			s.mu.Unlock()
			return err
		}
		if w.event == nil {
			w.event = make(chan struct{}, 1)
		}
		s.mu.Unlock()
		w.await(deadline)
	}
}

// await waits for wake, or for the deadline.
func (w *waiter) await(deadline time.Time) {
	if deadline.IsZero() {
		<-w.event
		return
	}
	limit := time.NewTimer(time.Until(deadline))
	defer limit.Stop()
	select {
	case <-w.event:
	case <-limit.C:
	}
}

func (s *Socket) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: s.local, Addr: s.remote, Err: callError(op, err)}
}

// SetDeadline sets both deadlines.
func (s *Socket) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t) // fails as the next
	return s.SetWriteDeadline(t)
}

// SetReadDeadline limits Read, also one that waits.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.setDeadline(&s.read, t) }

// SetWriteDeadline limits Write, also one that waits.
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.written, t) }

func (s *Socket) setDeadline(w *waiter, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	w.deadline = t
	w.wake()
	return nil
}

// Close closes the descriptor at once, whoever reads, writes or drives the connection.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	s.loop.remove(&s.driven)
	err := unix.Close(s.fd)
	s.read.wake()
	s.written.wake()
	if s.driver != nil {
		s.loop.post(&s.driven) // no event tells the driver
	}
	return err
}

// CloseWrite shuts the sending half.
func (s *Socket) CloseWrite() error {
	return s.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// SetLinger makes Close discard what was not delivered yet, if seconds is 0.
func (s *Socket) SetLinger(seconds int) error {
	l := unix.Linger{Onoff: 1, Linger: int32(seconds)}
	return s.control(func(fd int) error { return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l) })
}

func (s *Socket) control(f func(fd int) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	return f(s.fd)
}

// LocalAddr is the address of this side.
func (s *Socket) LocalAddr() net.Addr { return s.local }

// RemoteAddr is the address of the peer.
func (s *Socket) RemoteAddr() net.Addr { return s.remote }

// SyscallConn gives access to the descriptor. Only Control works: no call on the descriptor may wait.
func (s *Socket) SyscallConn() (syscall.RawConn, error) { return rawSocket{s}, nil }

type rawSocket struct{ s *Socket }

func (r rawSocket) Control(f func(fd uintptr)) error {
	return r.s.control(func(fd int) error { f(uintptr(fd)); return nil })
}

func (rawSocket) Read(func(uintptr) bool) error  { return syscall.ENOTSUP }
func (rawSocket) Write(func(uintptr) bool) error { return syscall.ENOTSUP }

// Noisy reports whether an event has arrived while no driver had the connection, since the last call: what an idle connection holds is
// perhaps beyond use.
func (s *Socket) Noisy() bool { return s.noise.Swap(false) }

// Near reports whether both are on the same loop.
func (s *Socket) Near(o *Socket) bool { return s.loop == o.loop }

// Join puts conn, which Go's poller has, on the loop of s, and closes conn: the Socket is the connection then. raw is that of conn, which no
// other goroutine may use.
func (s *Socket) Join(conn net.Conn, raw syscall.RawConn) (*Socket, error) {
	var fd int
	var dupErr error
	err := raw.Control(func(of uintptr) { fd, dupErr = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("duplicate descriptor: %w", err)
	}
	joined, err := s.loop.adopt(fd, conn.LocalAddr(), conn.RemoteAddr(), nil)
	if err != nil {
		return nil, err
	}
	_ = conn.Close()
	return joined, nil
}

// WriteParts writes all parts, as one write if the kernel takes it. It changes parts.
func (s *Socket) WriteParts(parts net.Buffers) error {
	for len(parts) > 0 {
		var n int
		err := s.retry(&s.written, func() (err error) {
			n, err = unix.Writev(s.fd, parts)
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
