package loop

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ringDriven is the side of a Socket over io_uring.
//
// The ring has at most one operation of each kind for a socket. It receives once, into a buffer of the loop, and again when the driver has
// taken that: a socket whose driver does not read holds at most one read. It sends a copy of what was pushed, and what was pushed
// meanwhile after that. While no driver has the socket, goroutines make system calls of their own, and the ring waits for them.
//
// An operation that starts names its descriptor by number, so the loop's thread alone closes it, once no operation is left.
type ringDriven struct {
	endpoint
	loop *ringLoop

	running kinds  // guarded by mu: the operations of the ring
	wanted  kinds  // guarded by mu: the polls that goroutines wait for
	byHand  bool   // guarded by mu: a goroutine receives, and the ring does not
	inbox   []byte // guarded by mu: what the ring has received, until it is taken
	ended   error  // guarded by mu: why nothing is received after inbox: io.EOF, or the kernel's error; nil
	sendErr error  // guarded by mu: why nothing is sent any more
	gone    bool   // guarded by mu: the descriptor is closed
	// expected is the number of results of receives in this batch of completions, after the next one. It is guarded by mu.
	expected int

	// The rest belongs to the thread of the loop; held also to the goroutine that calls Hold before Drive.
	driver     Driver
	limit      time.Time
	held       bool
	out        []byte // what was pushed, to be sent next
	flying     []byte // what the ring sends
	quiet      bool   // the loop hears of what flies only if the kernel does not take all of it at once
	choked     bool   // the kernel did not take all of the last send
	slow       bool   // the driver is to be told that the peer takes less than it is sent
	awaited    bool   // the driver waits for Drained
	failed     bool   // the driver knows that nothing can be sent
	told       bool   // the driver knows that nothing is received any more
	left       bool   // the peer has left, and hungUp was called
	short      bool   // the peer is a server, and the last part that it sent was short
	batch      uint64 // that has results of receives, 0 once the first of them was handled
	cancelling bool   // the receive is cancelled
	ending     bool   // all operations are cancelled
	queued     bool   // in loop.again
	touched    bool   // in loop.changed
}

// Drive implements Driven.
func (s *ringDriven) Drive(d Driver, limit time.Time, onLoop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !onLoop || s.closed {
		s.loop.post(posted{s, d, limit})
		return
	}
	s.driveLocked(d, limit)
	if s.unreadLocked() {
		s.loop.later(s)
	}
	s.loop.touch(s)
}

func (s *ringDriven) driveLocked(d Driver, limit time.Time) {
	s.driver, s.limit, s.told, s.failed, s.byHand = d, limit, false, false, false
	s.read.end()
	if !s.gone { // otherwise the descriptor may be that of another socket
		s.loop.enter(s)
	}
	s.loop.limited(limit)
}

// Release implements Driven.
func (s *ringDriven) Release() (unsent []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	unsent = s.out
	if s.flying == nil {
		s.running.remove(userSend) // it waits to go on, and the kernel has none of it
	} else if unsent == nil {
		unsent = []byte{}
	}
	s.out, s.driver, s.limit, s.held, s.slow, s.awaited = nil, nil, time.Time{}, false, false, false
	if s.unreadLocked() {
		s.noise.Store(true)
	}
	s.loop.touch(s)
	return unsent
}

// Limit implements Driven.
func (s *ringDriven) Limit(limit time.Time) {
	s.limit = limit
	s.loop.limited(limit)
}

// Hold implements Driven.
func (s *ringDriven) Hold() { s.held = true }

// Resume implements Driven.
func (s *ringDriven) Resume() {
	s.held = false
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unreadLocked() {
		s.loop.later(s)
	}
}

// Sending implements Driven.
func (s *ringDriven) Sending() bool {
	s.awaited = hasUnsent(s)
	return s.awaited
}

// hasUnsent reports whether the kernel has not taken all that was pushed.
func hasUnsent(s *ringDriven) bool { return len(s.out)+len(s.flying) > 0 }

// maxQueued bounds what a driver may push between two waits: several reads of a connection to a server, which go to the client as one.
const maxQueued = 4 * readSize

// Push implements Driven. The kernel gives the results of receives in the order in which bytes arrive. So by the time at which the loop has what
// makes it push a request, it has what arrived on the idle connection before.
func (s *ringDriven) Push(b []byte) {
	s.out = s.loop.spare.extend(s.out, b)
	s.loop.touch(s)
	if kept := len(s.out) + len(s.flying); kept > maxQueued || len(s.flying) > 0 && kept > readSize {
		s.slow = true
		s.loop.later(s)
	}
}

// look looks at a socket that is new, was closed, has a new driver d, has something to tell its driver, or for which a goroutine waits.
// Without a new driver, d is nil.
func (s *ringDriven) look(now time.Time, d Driver, limit time.Time) {
	s.mu.Lock()
	closed := s.closed
	if d != nil {
		s.driveLocked(d, limit)
	}
	s.mu.Unlock()
	s.loop.touch(s)
	tellSending(s, now)
	switch {
	case !closed:
		tell(s, now)
	case s.driver != nil:
		s.driver.Ended(now, net.ErrClosed)
	}
}

// expired tells the driver if its limit has passed, and otherwise returns the limit.
func (s *ringDriven) expired(now time.Time) (limit time.Time) {
	if s.driver == nil || s.limit.IsZero() {
		return time.Time{}
	}
	if now.Before(s.limit) {
		return s.limit
	}
	s.limit = time.Time{}
	s.driver.Ended(now, os.ErrDeadlineExceeded)
	return time.Time{}
}

func (s *ringDriven) home() backend { return s.loop }

// readLocked implements side. What the ring has received comes first.
func (s *ringDriven) readLocked(b []byte) (n int, err error) {
	if len(s.inbox) > 0 {
		n = copy(b, s.inbox)
		if s.inbox = s.inbox[n:]; len(s.inbox) == 0 {
			s.inbox = nil
		}
		return n, nil
	}
	if s.ended != nil {
		return 0, s.ended
	}
	s.byHand = true
	s.noise.Store(true) // what arrives from now on, the loop does not know of
	if s.running.has(userReceive) || s.running.has(userEach) {
		s.loop.post(posted{s: s}) // to cancel it
		return 0, unix.EAGAIN
	}
	if n, err = recv(s.fd, b); err == unix.EAGAIN {
		awaitPoll(s, userReadable)
	}
	return n, err
}

// writeLocked implements side. The ring sends first.
func (s *ringDriven) writeLocked(call func() (int, error)) (n int, err error) {
	switch {
	case s.sendErr != nil:
		return 0, s.sendErr
	case s.running.has(userSend):
		return 0, unix.EAGAIN
	}
	if n, err = call(); err == unix.EAGAIN {
		awaitPoll(s, userWritable)
	}
	return n, err
}

func (s *ringDriven) unreadLocked() bool { return len(s.inbox) > 0 || s.ended != nil || s.expected > 0 }

// closeLocked implements side. The peer sees the end at once, unless it is to see a reset: no FIN must come before that.
func (s *ringDriven) closeLocked() error {
	if !s.abrupt {
		_ = unix.Shutdown(s.fd, unix.SHUT_RDWR) // fails only on a connection that is gone
	}
	if !s.loop.post(posted{s: s}) { // the loop has stopped
		s.gone = true
		return unix.Close(s.fd)
	}
	return nil
}
