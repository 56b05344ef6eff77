package loop

import (
	"bytes"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// driven is the side of a Socket over epoll. Its descriptor is in the epoll set of the loop, and in no other.
type driven struct {
	endpoint
	loop   *loop
	serial int32 // tells the users of one descriptor apart

	driver   Driver    // guarded by mu: written by Drive and Release
	limit    time.Time // of the driver; written by the loop's thread, or with mu held before the driver is there
	readable bool      // guarded by mu: there may be something to read
	finished bool      // guarded by mu: the peer's FIN or an error has arrived, so there is always something to read
	held     bool      // guarded by mu: Hold

	// The rest belongs to the thread of the loop.
	queued  bool   // in loop.again
	pushed  bool   // in outbox.sockets: the loop learns what becomes of what was pushed
	awaited bool   // the driver waits for Drained
	refused bool   // the kernel has not taken all of unsent
	asks    bool   // what was pushed is a request, and not sent yet
	unasked bool   // something has arrived before it
	unsent  []byte // what was pushed: a part of outbox.memory, unless refused
	failed  error  // of a send, for the driver
}

// Drive implements Driven.
func (s *driven) Drive(d Driver, limit time.Time, onLoop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.driver, s.limit = d, limit
	s.read.end()
	if onLoop && !s.closed {
		s.loop.limited(limit)
		return
	}
	s.loop.post(s) // an edge may have gone to the goroutine
}

// Release implements Driven.
func (s *driven) Release() (unsent []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	unsent = s.unsent
	if s.pushed {
		unsent = bytes.Clone(unsent)
		s.loop.out.remove(s)
	}
	s.unsent, s.pushed, s.awaited, s.refused, s.failed, s.asks, s.unasked = nil, false, false, false, nil, false, false
	s.driver, s.limit, s.held = nil, time.Time{}, false
	return unsent
}

// Limit implements Driven.
func (s *driven) Limit(limit time.Time) {
	s.limit = limit
	s.loop.limited(limit)
}

// Hold implements Driven.
func (s *driven) Hold() { setHeld(s, true) }

// Resume implements Driven.
func (s *driven) Resume() {
	if setHeld(s, false) {
		s.loop.later(s)
	}
}

func setHeld(s *driven, held bool) (readable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	return s.readable
}

// Push implements Driven.
func (s *driven) Push(b []byte) {
	if s.driver == nil && !s.pushed {
		s.asks, s.loop.out.asks = true, true
	}
	s.loop.out.push(s, b)
}

// Sending implements Driven.
func (s *driven) Sending() bool {
	s.awaited = s.pushed || s.refused
	return s.awaited
}

// sendSome sends what the kernel takes of b at once.
func (s *driven) sendSome(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n < len(b) {
		if s.closed {
			return n, net.ErrClosed
		}
		k, err := send(s.fd, b[n:])
		if err == unix.EAGAIN {
			return n, nil
		}
		if err != nil {
			return n, callError("write", err)
		}
		n += k
	}
	return n, nil
}

// hasToSend reports whether s has something to send that the kernel has not refused.
func hasToSend(s *driven) bool { return len(s.unsent) > 0 && !s.refused }

// sendPushed sends what the kernel takes of what was pushed, for tell.
func (s *driven) sendPushed() {
	if hasToSend(s) {
		s.sentSome(s.sendSome(s.unsent))
	}
}

// sentSome notes that the kernel has taken n bytes of unsent, or that nothing can be sent.
func (s *driven) sentSome(n int, err error) {
	rest := s.unsent[n:]
	s.unsent, s.failed, s.asks = nil, err, false
	if s.refused = err == nil && len(rest) > 0; s.refused {
		s.unsent = bytes.Clone(rest)
	}
}

// silent reports whether nothing has arrived.
func silent(s *driven) bool {
	var b [1]byte
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	_, err := transfer(unix.SYS_RECVFROM, s.fd, b[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
	return err == unix.EAGAIN
}

// tell tells the driver what became of what was pushed, if the driver wants to know.
func (s *driven) tell(now time.Time) {
	err := s.failed
	s.pushed, s.failed, s.asks, s.unasked = false, nil, false, false
	switch {
	case err == errUnasked:
		s.driver.Ended(now, err)
	case err != nil || s.refused:
		s.awaited = true
		s.driver.Refused(now, err)
	case s.awaited:
		s.awaited = false
		s.driver.Drained(now)
	}
}

// sendRefused sends what the kernel has refused before.
func sendRefused(s *driven, now time.Time) {
	s.refused = false
	if s.sendPushed(); !s.refused && !s.pushed { // what was pushed since is told with the others
		s.tell(now)
	}
}

func present(s *driven) Driver {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.driver
}

// event handles an event of the kernel on the thread of l.
func (s *driven) event(l *loop, now time.Time, flags uint32) {
	const gone = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	s.mu.Lock()
	d, limit := s.driver, s.limit
	s.read.wake()
	s.written.wake()
	if flags&(gone|unix.EPOLLIN) != 0 {
		s.readable = true
		s.finished = s.finished || flags&gone != 0
	}
	if flags&gone == 0 && !s.refused {
		r := receiveLocked(s, l.buf)
		s.mu.Unlock()
		l.limited(limit)
		give(s, l, now, r)
		return
	}
	s.mu.Unlock()
	if flags&gone != 0 && s.hungUp != nil {
		s.hungUp()
	}
	if d == nil {
		return
	}
	l.limited(limit)
	if s.refused && flags&(gone|unix.EPOLLOUT) != 0 {
		sendRefused(s, now)
	}
	s.receive(l, now)
}

// look looks at a socket that may have more to read, whose driver is new, or that was closed.
func (s *driven) look(l *loop, now time.Time) {
	s.mu.Lock()
	if s.readable = true; s.closed {
		s.held = false // so that the driver hears of it
	}
	limit := s.limit
	s.mu.Unlock()
	l.limited(limit)
	s.receive(l, now)
}

// receive makes one read for the driver.
func (s *driven) receive(l *loop, now time.Time) {
	s.mu.Lock()
	r := receiveLocked(s, l.buf)
	s.mu.Unlock()
	give(s, l, now, r)
}

// read is what became of a read.
type read struct {
	driver Driver // nil if there is nothing to tell
	n      int
	more   bool // there may be more to read
	err    error
}

// give tells the driver of a read into the buffer of l. What may be left is read after the other events of the batch.
func give(s *driven, l *loop, now time.Time, r read) {
	switch {
	case r.driver == nil:
	case r.err != nil:
		r.driver.Ended(now, r.err)
	default:
		r.driver.Received(now, l.buf[:r.n])
		if r.more {
			l.later(s)
		}
	}
}

// receiveLocked reads into b if there is a driver that reads.
func receiveLocked(s *driven, b []byte) read {
	if s.driver == nil || s.held || !s.readable {
		return read{}
	}
	s.readable = false
	if s.closed {
		return read{driver: s.driver, err: net.ErrClosed}
	}
	n, err := recv(s.fd, b)
	switch {
	case err == unix.EAGAIN:
		return read{}
	case err != nil:
		return read{driver: s.driver, err: callError("read", err)}
	case n == 0:
		return read{driver: s.driver, err: io.EOF}
	}
	if s.readable = n == len(b) || s.finished; s.readable {
		s.noise.Store(true) // should the driver give the connection up here
	}
	return read{driver: s.driver, n: n, more: s.readable}
}

// expired tells the driver if its limit has passed, and otherwise returns the limit.
func (s *driven) expired(now time.Time) (limit time.Time) {
	s.mu.Lock()
	d, limit := s.driver, s.limit
	s.mu.Unlock()
	if d == nil || limit.IsZero() {
		return time.Time{}
	}
	if now.Before(limit) {
		return limit
	}
	s.limit = time.Time{}
	d.Ended(now, os.ErrDeadlineExceeded)
	return time.Time{}
}

func (s *driven) home() backend { return s.loop }

func (s *driven) readLocked(b []byte) (int, error) { return recv(s.fd, b) }

func (s *driven) writeLocked(call func() (int, error)) (int, error) { return call() }

// unreadLocked implements side. The loop receives nothing without a driver.
func (s *driven) unreadLocked() bool { return false }

func (s *driven) closeLocked() error {
	s.loop.remove(s)
	if s.driver != nil {
		s.loop.post(s) // no event tells the driver
	}
	return unix.Close(s.fd)
}
