package loop

import (
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"tether/wire/uring"
)

// kinds is a set of kinds of operations, such as userReceive.
type kinds uint8

func (k *kinds) add(kind uint64)     { *k |= 1 << kind }
func (k *kinds) remove(kind uint64)  { *k &^= 1 << kind }
func (k kinds) has(kind uint64) bool { return k&(1<<kind) != 0 }

func userOf(s *ringDriven, kind uint64) uint64 { return uint64(s.fd)<<userBits | kind }

// settle starts the operations that s needs and does not have, and ends those that it must not have.
func settle(s *ringDriven) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.loop.enter(s)
	if s.closed {
		s.sendErr = net.ErrClosed
		if len(s.out) > 0 {
			s.loop.later(s) // to tell the driver
		}
		if !cancelLocked(s) {
			s.loop.sockets[s.fd] = nil
			closeIfClosedLocked(s)
		}
		return
	}
	settleReceive(s)
	settleSend(s)
	startPoll(s, userReadable, unix.POLLIN, s.wanted.has(userReadable))
	startPoll(s, userWritable, unix.POLLOUT, s.wanted.has(userWritable))
	if s.hungUp != nil {
		startPoll(s, userLeft, unix.POLLRDHUP, !s.left && !s.running.has(userReceive)) // a client is received from once
	} else {
		startPoll(s, userLeft, 0, !s.left && s.running.has(userEach)) // for POLLERR and POLLHUP
	}
}

// settleReceive receives for a driver, or on an idle connection to a server, which must stay silent. Where a client has no driver, a goroutine
// serves it and will read. From a server that sends short messages it receives again and again, until the driver stops reading: that costs less,
// but up to 32 parts of shortSize may arrive before it ends. Such a receive may miss a reset that is there with the last bytes, so a poll looks out
// for that, and the end is received once.
func settleReceive(s *ringDriven) {
	each, once := s.running.has(userEach), s.running.has(userReceive)
	switch {
	case !each && !once:
		if s.byHand || s.unreadLocked() || s.driver == nil && s.hungUp != nil {
			return
		}
		if s.short && !s.left {
			s.loop.ring.ReceiveEach(s.fd, eachBuffers, userOf(s, userEach))
			s.running.add(userEach)
			return
		}
		s.loop.ring.Receive(s.fd, onceBuffers, userOf(s, userReceive))
		s.running.add(userReceive)
	case s.cancelling:
	case each && (s.byHand || s.unreadLocked() || !s.short || s.left):
		s.loop.ring.Cancel(userOf(s, userEach), userNone)
		s.cancelling = true
	case once && s.byHand:
		s.loop.ring.Cancel(userOf(s, userReceive), userNone)
		s.cancelling = true
	}
}

// settleSend sends what was pushed. The completion of a send costs another turn of the loop. The kernel reports
// a quiet send only if it does not take all bytes at once. A send is quiet if no driver waits for its end and the kernel took all bytes of the
// send before it.
func settleSend(s *ringDriven) {
	switch {
	case s.flying != nil || len(s.out) == 0:
	case s.sendErr != nil:
		s.loop.later(s) // to tell the driver
	default:
		s.flying, s.out = s.out, nil
		synchronizeSend()
		s.running.add(userSend)
		s.quiet = s.driver != nil && !s.awaited && !s.choked
		if s.quiet {
			s.loop.ring.SendNow(s.fd, s.flying, userOf(s, userSend))
			s.loop.quiet = append(s.loop.quiet, s)
		} else {
			s.loop.ring.Send(s.fd, s.flying, userOf(s, userSend))
		}
	}
}

func startPoll(s *ringDriven, kind uint64, events uint32, wanted bool) {
	s.wanted.remove(kind)
	if wanted && !s.running.has(kind) {
		s.loop.ring.Poll(s.fd, events, userOf(s, kind))
		s.running.add(kind)
	}
}

// awaitPoll makes the loop wake the goroutine that waits for a poll. s.mu is held.
func awaitPoll(s *ringDriven, kind uint64) {
	s.wanted.add(kind)
	s.loop.post(posted{s: s})
}

// over notes that an operation has ended. s.mu is held, unless the loop ends.
func over(s *ringDriven, kind uint64) {
	s.running.remove(kind)
	switch kind {
	case userReceive, userEach:
		s.cancelling = false
		s.read.wake()
	case userReadable:
		s.read.wake()
	case userSend:
		s.flying = nil
		s.written.wake()
	case userWritable:
		s.written.wake()
	}
}

// received handles a result of a receive: bytes, the end of the connection, or neither.
func received(s *ringDriven, now time.Time, c *uring.Completion, kind uint64) {
	p := s.loop.ring.Received(c, buffersOf(kind))
	if d := takeReceived(s, p, c, kind); d != nil {
		d.Received(now, p)
	}
	s.loop.ring.Reuse(c, buffersOf(kind))
	s.loop.touch(s)
	if err := endOf(c); err != nil {
		hangUp(s)
		if s.driver != nil && s.held && err != io.EOF && hasUnsent(s) { // the send fails too, but the kernel tells an error once
			fail(s, now, err)
			return
		}
		tell(s, now)
	}
}

// takeReceived takes in the result of a receive, and returns the driver if p is for it.
func takeReceived(s *ringDriven, p []byte, c *uring.Completion, kind uint64) Driver {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !c.More():
		over(s, kind)
	case s.driver == nil:
		s.read.wake()
	}
	if s.batch == s.loop.batch {
		s.batch = 0 // of the next results, expect has told
	} else if s.expected > 0 {
		s.expected--
	}
	if s.ended == nil {
		s.ended = endOf(c)
	}
	if s.driver == nil && (len(p) > 0 || s.ended != nil) {
		s.noise.Store(true)
	}
	if len(p) > 0 {
		s.short = s.hungUp == nil && len(p) < shortSize
	}
	switch {
	case s.closed || len(p) == 0:
		return nil
	case s.driver != nil && !s.held && len(s.inbox) == 0:
		return s.driver
	}
	s.inbox = append(s.inbox, p...)
	return nil
}

// expect notes that a batch of completions has another result of a receive, which may be unasked bytes: should the driver give the connection
// up before, it is not idle.
func expect(s *ringDriven) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected++
}

// endOf is why nothing is received after a completion, nil if that is not the end.
func endOf(c *uring.Completion) error {
	if c.Result == 0 {
		return io.EOF
	}
	switch err := c.Err(); err {
	case unix.ENOBUFS, unix.ECANCELED, unix.EAGAIN, unix.EINTR:
		return nil
	default:
		return err
	}
}

// tell gives the driver what was received while it did not read.
func tell(s *ringDriven, now time.Time) {
	for {
		d, p, err := takeInbox(s)
		switch {
		case d == nil:
			return
		case err != nil:
			d.Ended(now, err)
			return
		}
		d.Received(now, p)
	}
}

// takeInbox takes what is to be told to the driver next. d is nil for nothing.
func takeInbox(s *ringDriven) (d Driver, p []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.driver == nil || s.held || s.closed: // of Close, look tells
		return nil, nil, nil
	case len(s.inbox) > 0:
		p, s.inbox = s.inbox, nil
		s.loop.touch(s)
		return s.driver, p, nil
	case s.ended != nil && !s.told:
		s.told = true
		return s.driver, nil, callError("read", s.ended)
	}
	return nil, nil, nil
}

// hangUp notes that the peer has left, and tells of a client that has.
func hangUp(s *ringDriven) {
	if s.left || refusal(s) == net.ErrClosed {
		return
	}
	s.left = true
	if s.hungUp != nil {
		s.hungUp()
	}
}

// refusal is why nothing can be sent, nil if something can.
func refusal(s *ringDriven) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	return s.sendErr
}

// sent handles the end of a send. The kernel took n bytes of it; err is nil if it took any.
func sent(s *ringDriven, now time.Time, n int, err error) {
	flying := s.flying
	s.choked = n < len(flying)
	s.quiet = false
	if 0 < n && n < len(flying) || err == unix.EAGAIN { // a goroutine must not write before the rest, so the send still counts as running
		s.flying, s.out = nil, append(flying[n:], s.out...)
		s.loop.touch(s)
		return
	}
	err = takeSent(s, err)
	s.loop.spare.give(flying)
	if len(s.out) > 0 || s.ending {
		s.loop.touch(s)
	}
	switch {
	case s.driver == nil:
	case err != nil:
		fail(s, now, err)
	case len(s.out) == 0:
		s.slow = false
		tellDrained(s, now)
	}
}

// takeSent notes the end of a send with err, nil if all is sent, and returns why nothing is sent any more.
func takeSent(s *ringDriven, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	over(s, userSend)
	if err != nil && s.sendErr == nil {
		s.sendErr = err
		if s.ended != nil && s.ended != io.EOF { // the kernel tells an error once
			s.sendErr = s.ended
		}
	}
	return s.sendErr
}

// fail tells the driver that nothing can be sent.
func fail(s *ringDriven, now time.Time, err error) {
	s.out = nil
	if s.driver != nil && !s.failed {
		s.failed = true
		s.driver.Refused(now, callError("write", err))
	}
}

// tellSending tells the driver what it does not know yet of what it has pushed.
func tellSending(s *ringDriven, now time.Time) {
	switch err := refusal(s); {
	case s.driver == nil:
	case err != nil && len(s.out) > 0:
		fail(s, now, err)
	case s.slow:
		s.slow, s.awaited = false, true
		s.driver.Refused(now, nil)
	}
}

// tellDrained tells the driver that all that it has pushed is sent, if it waits for that.
func tellDrained(s *ringDriven, now time.Time) {
	if s.awaited {
		s.awaited = false
		s.driver.Drained(now)
	}
}

// polled handles the end of a poll.
func polled(s *ringDriven, c *uring.Completion, kind uint64) {
	s.mu.Lock()
	over(s, kind)
	s.mu.Unlock()
	s.loop.touch(s)
	if kind == userLeft && c.Result > 0 {
		hangUp(s)
	}
}

// cancelAllOf cancels all operations of s, and reports whether there are any. It cancels each by its user: to cancel all operations of a
// descriptor at once, the kernel compares those of all sockets, and ten thousand clients that leave together would stop the loop for half a
// minute.
func cancelAllOf(s *ringDriven) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cancelLocked(s)
}

func cancelLocked(s *ringDriven) bool {
	if s.flying == nil {
		s.running.remove(userSend) // it waits to go on, and the kernel has none of it
	}
	if s.running == 0 {
		return false
	}
	if !s.ending {
		s.ending = true
		for kind := uint64(userReceive); kind <= userLeft; kind++ {
			if s.running.has(kind) {
				s.loop.ring.Cancel(userOf(s, kind), userNone)
			}
		}
	}
	return true
}

// closeIfClosed closes the descriptor of a closed socket.
func closeIfClosed(s *ringDriven) {
	s.mu.Lock()
	defer s.mu.Unlock()
	closeIfClosedLocked(s)
}

func closeIfClosedLocked(s *ringDriven) {
	if s.closed && !s.gone {
		s.gone = true
		_ = unix.Close(s.fd)
	}
}
