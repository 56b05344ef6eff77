package wire

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stallCheck finds out whether a write to one side of a tunnel is stuck. The other direction asks it, since that one runs while
// the write waits. The kernel cuts a peer that takes nothing and sends nothing (TCP_USER_TIMEOUT), but each segment from the
// peer puts off the kernel's timer: it never expires for a peer that sends something every 50 ms.
type stallCheck struct {
	limit  time.Duration // how long the peer may take nothing, 0 for ever
	unsent func() int    // bytes that the socket holds for the peer

	waiting bool      // a write is under way
	since   time.Time // when the write began, or the peer last took something
	checked bool      // held is set
	held    int       // unsent at the last check
}

func (s *stallCheck) begin(now time.Time) { s.waiting, s.checked, s.since = true, false, now }

// stuck reports whether the peer took nothing for the limit while the write waited. It first asks the socket after an eighth of
// the limit.
func (s *stallCheck) stuck(now time.Time) bool {
	const firstCheck = 8
	waited := now.Sub(s.since)
	if !s.waiting || s.limit == 0 || waited < s.limit/firstCheck {
		return false
	}
	if held := s.unsent(); !s.checked || held < s.held {
		s.checked, s.held, s.since = true, held, now
		return false
	}
	return waited >= s.limit
}

// unsent is how many bytes the socket holds that the peer has not acknowledged.
func (c *Client) unsent() int {
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		return 0
	}
	return unsentOf(raw)
}

func (c *Conn) unsent() int { return unsentOf(c.raw) }

// pendingError is the error that the kernel has for the connection and has reported to no call yet.
func (c *Client) pendingError() (err error) {
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		return err
	}
	_ = raw.Control(func(fd uintptr) {
		if no, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); no != 0 {
			err = unix.Errno(no)
		}
	})
	return err
}

func unsentOf(raw syscall.RawConn) (n int) {
	_ = raw.Control(func(fd uintptr) { n = unsent(fd) }) // does not matter on a connection that is gone
	return n
}
