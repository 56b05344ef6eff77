package loop

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// endpoint is the part of a Socket that does not depend on how its loop gets events.
//
// No system call on the descriptor blocks, and each is made with mu held, as close is: so none can reach a connection that has got the
// descriptor since.
//
// What each event needs comes first: most of an event's time is that of memory that is not in the processor's caches.
type endpoint struct {
	fd int

	mu            sync.Mutex
	closed        bool        // guarded by mu
	abrupt        bool        // guarded by mu: Close discards what was not delivered yet
	noise         atomic.Bool // an event arrived while the socket had no driver; see Noisy
	hungUp        func()      // called on the loop's thread when the peer has left; nil for none
	read, written waiter      // guarded by mu: the goroutines that wait in Read and Write

	local, remote net.Addr
}

// waiter is a goroutine that waits for a socket, and its deadline.
type waiter struct {
	event    chan struct{} // capacity 1; nil while no goroutine has waited since the last Drive
	deadline time.Time
}

// wake makes the goroutine, if one waits, try again.
func (w *waiter) wake() {
	if w.event == nil {
		return
	}
	select {
	case w.event <- struct{}{}:
	default: // already awake
	}
}

// end forgets the channel. No goroutine may be waiting. Each later event would look at the channel, which is seldom in the processor's caches
// if there are hundreds of connections.
func (w *waiter) end() { w.event = nil }

// retry makes the system call until it does not fail for lack of bytes or of space, and waits as w between two calls.
func (s *endpoint) retry(w *waiter, call func() error) error {
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

func (s *endpoint) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: s.local, Addr: s.remote, Err: callError(op, err)}
}

func callError(call string, err error) error {
	if no, is := err.(unix.Errno); is {
		return os.NewSyscallError(call, no)
	}
	return err
}

// SetDeadline sets both deadlines.
func (s *endpoint) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t) // fails as the next
	return s.SetWriteDeadline(t)
}

// SetReadDeadline limits Read, also one that waits.
func (s *endpoint) SetReadDeadline(t time.Time) error { return s.setDeadline(&s.read, t) }

// SetWriteDeadline limits Write, also one that waits.
func (s *endpoint) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.written, t) }

func (s *endpoint) setDeadline(w *waiter, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	w.deadline = t
	w.wake()
	return nil
}

// SetLinger makes Close discard what was not delivered yet, if seconds is 0.
func (s *endpoint) SetLinger(seconds int) error {
	l := unix.Linger{Onoff: 1, Linger: int32(seconds)}
	return s.control(func(fd int) error {
		s.abrupt = seconds == 0
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l)
	})
}

func (s *endpoint) control(f func(fd int) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	return f(s.fd)
}

// LocalAddr is the address of this side.
func (s *endpoint) LocalAddr() net.Addr { return s.local }

// RemoteAddr is the address of the peer.
func (s *endpoint) RemoteAddr() net.Addr { return s.remote }

// SyscallConn is described at Socket.
func (s *endpoint) SyscallConn() (syscall.RawConn, error) { return rawSocket{s}, nil }

type rawSocket struct{ s *endpoint }

func (r rawSocket) Control(f func(fd uintptr)) error {
	return r.s.control(func(fd int) error { f(uintptr(fd)); return nil })
}

func (rawSocket) Read(func(uintptr) bool) error  { return syscall.ENOTSUP }
func (rawSocket) Write(func(uintptr) bool) error { return syscall.ENOTSUP }

// recv and send never block, so raw system calls will do: the scheduler need not know.
func recv(fd int, b []byte) (int, error) {
	n, err := transfer(unix.SYS_RECVFROM, fd, b, unix.MSG_DONTWAIT)
	synchronizeReceived()
	return n, err
}

func send(fd int, b []byte) (int, error) {
	synchronizeSend()
	return transfer(unix.SYS_SENDTO, fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func transfer(call uintptr, fd int, b []byte, flags uintptr) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
