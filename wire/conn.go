package wire

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tether/wire/loop"
)

// Conn is a connection to an upstream. If the upstream speaks TLS, reads and writes are those of the TLS connection, and only a
// stream that the upstream ended with close_notify ends with io.EOF.
type Conn struct {
	net.Conn
	mu       sync.Mutex // held while Join replaces socket, for Abort
	socket   net.Conn   // below TLS; the same as Conn without TLS
	raw      syscall.RawConn
	looped   looped           // the same as socket; nil if no loop can drive the connection
	driven   loop.Driven      // that of looped
	home     any              // stands for the loop; nil without one
	peek     func(fd uintptr) // sets quiet; made once, for Stale
	quiet    bool
	deadline time.Time // of reads, as last set
}

// Abort ends the connection at once, whoever reads or writes it, which tells the upstream to stop. It implements Aborter, and may be called
// on the thread of a loop: it waits neither for the peer nor until reads and writes under way have failed, which they do soon after. The
// connection must still be closed.
func (c *Conn) Abort() {
	c.mu.Lock()
	driven, raw := c.looped, c.raw
	c.mu.Unlock()
	if driven != nil {
		_ = driven.Close()
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) }) // fails only on a connection that is gone
}

// Drop closes the connection at once, without a goodbye under TLS. It waits for no peer, but until reads and writes under way on other
// goroutines have returned.
func (c *Conn) Drop() {
	c.mu.Lock()
	socket := c.socket
	c.mu.Unlock()
	_ = socket.Close()
}

// Stale reports, without waiting, whether an idle connection is beyond use: the peer closed it, or sent bytes that no
// request asked for.
//
// onLoop says that the caller is the thread of the connection's loop, which knows of most connections without asking the
// kernel: all events before those that the thread handles now.
func (c *Conn) Stale(onLoop bool) bool {
	if onLoop && c.looped != nil && !c.looped.Noisy() {
		return false
	}
	err := c.raw.Control(c.peek)
	return err != nil || !c.quiet || c.looped != nil && c.looped.Unread() || c.Conn != c.socket && c.holdsBytes()
}

// Driven returns the connection as the loop of a client drives it, nil if none does. See Join.
func (c *Conn) Driven() loop.Driven { return c.driven }

// DelayAcks makes the kernel acknowledge the parts of a stream in pairs. Otherwise the kernel acknowledges each small part when the part is read, and an
// acknowledgement costs as much as a packet, here and at the server. The kernel goes back to that, for the rest of the stream, once a
// part has waited 40 ms for its acknowledgement. A server that waits for each acknowledgement (Nagle's algorithm) therefore waits once.
func (c *Conn) DelayAcks() { delayAcks(c.raw) }

// holdsBytes reports whether the TLS connection has read bytes from the socket that no Read has taken: bytes behind one answer
// must not become the beginning of the next.
func (c *Conn) holdsBytes() bool {
	var b [1]byte
	if c.SetReadDeadline(expired) != nil {
		return true
	}
	_, err := c.Conn.Read(b[:])
	c.deadline = expired
	return !IsTimeout(err)
}

// expired is a deadline in the past.
var expired = time.Unix(1, 0)

// Parts are bytes in up to three parts.
type Parts [3][]byte

// Len is the length of all parts together.
func (p *Parts) Len() int { return len(p[0]) + len(p[1]) + len(p[2]) }

// WriteAll writes head and the parts of body, as one write where the kernel takes it. If body fits into head's spare
// capacity it is copied there, which costs less than a vector.
func (c *Conn) WriteAll(head []byte, body *Parts) error {
	if body.Len() <= cap(head)-len(head) {
		_, err := c.Write(append(append(append(head, body[0]...), body[1]...), body[2]...))
		return err
	}
	parts := net.Buffers{head, body[0], body[1], body[2]}
	if c.looped != nil {
		return c.looped.WriteParts(parts)
	}
	_, err := parts.WriteTo(c.Conn)
	return err
}

// PushAll is WriteAll on the thread of the loop that drives the connection. Nothing is lent: see Driven.Push of package wire/loop.
func (c *Conn) PushAll(head []byte, body *Parts) {
	for _, part := range [...][]byte{head, body[0], body[1], body[2]} {
		if len(part) > 0 {
			c.driven.Push(part)
		}
	}
}

// deadlineSlack is the part of an idle limit by which a deadline may be late: moving a deadline at every read of a stream
// would cost more than parsing what was read.
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

// IsTimeout reports whether err is a read or write deadline that has passed.
func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
