package wire

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// write is a write to a side of a tunnel, as the other direction sees it: that one finds out whether it is stuck. A peer that
// takes nothing and sends nothing is cut by the kernel (TCP_USER_TIMEOUT). But each segment that comes from it puts the kernel's
// timer off: where it sends something every 50 ms, that never runs out.
type write struct {
	limit  time.Duration // for which the peer may take nothing, 0 for ever
	unsent func() int    // bytes that the socket holds for the peer

	waiting bool
	since   time.Time // when the write began, or the peer was last found to have taken something
	looked  bool      // held is what the socket held then
	held    int
}

func (w *write) begin(now time.Time) { w.waiting, w.looked, w.since = true, false, now }

// stuck reports whether the peer took nothing for the limit while the write waited. The first look comes after a part of that.
func (w *write) stuck(now time.Time) bool {
	const firstLook = 8
	waited := now.Sub(w.since)
	if !w.waiting || w.limit == 0 || waited < w.limit/firstLook {
		return false
	}
	if held := w.unsent(); !w.looked || held < w.held {
		w.looked, w.held, w.since = true, held, now
		return false
	}
	return waited >= w.limit
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

// failure is the error that the kernel has for the connection, and has told nobody yet.
func (c *Client) failure() (err error) {
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
	_ = raw.Control(func(fd uintptr) { n = unsent(fd) }) // of a connection that is gone it does not matter
	return n
}
