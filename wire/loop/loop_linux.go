package loop

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is a backend over epoll.
type loop struct {
	epoll int
	waker int // an eventfd in the set: a write to it ends the wait

	mu      sync.Mutex
	sockets []*driven // guarded by mu: by descriptor
	serial  int32     // guarded by mu
	posted  []*driven // guarded by mu: to be looked at
	woken   bool      // guarded by mu: waker was written to

	// The rest belongs to the thread.
	buf   []byte            // what was received last, for Driver.Received
	out   outbox            // what drivers have pushed
	found []*driven         // by event of the batch
	late  []unix.EpollEvent // that arrived while others were handled: the next batch
	heard []*driven         // by event of the last of late
	again []*driven         // that may have more to read
	work  []*driven         // what is looked at after the next events
	swept []*driven         // whose limits are looked at
	limits
	pace
}

// readSize bounds one read of a loop, and so what a slow client makes it keep.
const readSize = 16 << 10

func newLoop() (backend, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll set: %w", err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, waker, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(waker)})
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	l := &loop{epoll: epoll, waker: waker, buf: make([]byte, readSize), out: newOutbox()}
	l.out.burst.open()
	return l, nil
}

func (l *loop) close() {
	l.out.burst.close()
	_ = unix.Close(l.epoll)
	_ = unix.Close(l.waker)
}

// socketEvents are all that a socket is registered for, once and edge-triggered.
const socketEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

func (l *loop) adopt(fd int, local, remote net.Addr, hungUp func()) (*Socket, error) {
	s := &driven{endpoint: endpoint{fd: fd, local: local, remote: remote, hungUp: hungUp}, loop: l}
	l.enter(s)
	err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: socketEvents, Fd: int32(fd), Pad: s.serial})
	if err != nil {
		l.remove(s)
		_ = unix.Close(fd)
		return nil, fmt.Errorf("register descriptor: %w", err)
	}
	return &Socket{&s.endpoint, s, s}, nil
}

func (l *loop) enter(s *driven) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	s.serial = l.serial
	for len(l.sockets) <= s.fd {
		l.sockets = append(l.sockets, make([]*driven, max(64, len(l.sockets)))...)
	}
	l.sockets[s.fd] = s
}

// remove forgets s before its descriptor is closed. Events that the kernel has given for it are ignored.
func (l *loop) remove(s *driven) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sockets[s.fd] == s {
		l.sockets[s.fd] = nil
	}
}

// post makes the thread look at s: its driver is new, or it was closed. No event of the kernel tells that.
func (l *loop) post(s *driven) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posted = append(l.posted, s)
	l.wakeLocked()
}

// one is what is added to an eventfd. Its sum is never read: in an edge-triggered set each write is an event.
var one = [8]byte{1}

func (l *loop) wakeLocked() {
	if !l.woken {
		l.woken = true
		_, _ = unix.Write(l.waker, one[:]) // it is never full
	}
}

// later makes the thread read from s after the events of this batch.
func (l *loop) later(s *driven) {
	if !s.queued {
		s.queued = true
		l.again = append(l.again, s)
	}
}

// find appends to found the sockets that the events are about, nil for those that are gone. The descriptors are equal anyway. They are compared
// to load the first cache line of each socket here, for many sockets at once. Later, each load would wait for a lock.
func (l *loop) find(found []*driven, events []unix.EpollEvent) []*driven {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range events {
		e := &events[i]
		var of *driven
		if int(e.Fd) < len(l.sockets) {
			of = l.sockets[e.Fd]
		}
		if of != nil && (of.serial != e.Pad || of.fd != int(e.Fd)) {
			of = nil
		}
		found = append(found, of)
	}
	return found
}

// run handles events until ctx ends. It has no thread of its own: the scheduler interrupts a goroutine that has, and wakes two threads to let it
// go on.
func (l *loop) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.wakeLocked()
	})
	defer stop()
	batch := make([]unix.EpollEvent, 0, maxEvents)
	l.late = make([]unix.EpollEvent, 0, maxEvents)
	resting := false
	for ctx.Err() == nil {
		work := l.takeWork()
		batch, l.late = l.late, batch[:0]
		busy := len(work) > 0 || len(batch) > 0
		if room := batch[len(batch):maxEvents]; len(room) > 0 {
			n, err := l.wait(room, resting && !busy, busy)
			if err != nil {
				return fmt.Errorf("wait for events: %w", err)
			}
			batch = batch[:len(batch)+n]
		}
		now := time.Now()
		l.handle(now, batch)
		l.send() // before more is read for a slow peer
		if len(work) > 0 {
			now = time.Now() // a peer may have answered what was just sent
			l.look(now, work)
		}
		if l.due(now) {
			l.sweepLimits(now)
		}
		l.send()
		resting = l.rests(now, len(batch) > 0 || len(work) > 0)
		if l.yields(now) {
			yield()
		}
	}
	return nil
}

// maxEvents bounds a batch of events.
const maxEvents = 256

// send sends what was pushed, and tells the drivers, which may push more.
func (l *loop) send() {
	for len(l.out.sockets) > 0 {
		if l.out.asks {
			l.findUnasked()
		}
		l.out.send()
	}
}

// findUnasked looks at what has arrived since the last look on the connections that requests are about to leave on. A client may have
// sent its request long after the event that made the loop read it, so that the events so far do not tell.
func (l *loop) findUnasked() {
	room := l.late[len(l.late):cap(l.late)]
	n, err := 0, error(nil)
	if len(room) > 0 {
		n, err = rawEpollWait(l.epoll, room, 0)
	}
	l.late = l.late[:len(l.late)+n]
	l.heard = l.find(l.heard[:0], room[:n])
	markAll(l.heard, room)
	clear(l.heard)
	if err != nil || n == len(room) { // there may be more events
		l.out.peek()
	}
}

// markAll marks the sockets that have received what nothing asked for yet: idle ones, and those that a request is about to leave on.
func markAll(found []*driven, events []unix.EpollEvent) {
	for i, s := range found {
		switch {
		case s == nil || events[i].Events == unix.EPOLLOUT:
		case s.asks:
			s.unasked = true
		case present(s) == nil:
			s.noise.Store(true)
		}
	}
}

// handle handles a batch of events. Idle connections are marked first: one that has become stale must not be taken by an
// event that stands before its own.
func (l *loop) handle(now time.Time, events []unix.EpollEvent) {
	l.found = l.find(l.found[:0], events)
	markAll(l.found, events)
	for i, s := range l.found {
		if i%clockEvents == clockEvents-1 {
			now = time.Now()
		}
		if s != nil {
			s.event(l, now, events[i].Events)
		}
		if len(l.out.sockets) >= maxPushed {
			l.send()
			now = time.Now()
		}
	}
	clear(l.found)
}

// clockEvents is the number of events of a batch that share one look at the clock, so that times are right to about 0.1 ms.
const clockEvents = 16

// takeWork takes the sockets that may have more to read, and those that were posted. They are looked at after the next events: whatever
// happened to an idle connection before is known then.
func (l *loop) takeWork() []*driven {
	l.work, l.again = l.again, l.work[:0]
	for _, s := range l.work {
		s.queued = false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.woken {
		l.work = append(l.work, l.posted...)
		clear(l.posted)
		l.posted, l.woken = l.posted[:0], false
	}
	return l.work
}

func (l *loop) look(now time.Time, work []*driven) {
	for _, s := range work {
		s.look(l, now)
	}
	clear(work)
}

// sweepLimits tells the drivers whose limits have passed, and finds the next limit.
func (l *loop) sweepLimits(now time.Time) {
	l.sweep = time.Time{}
	l.mu.Lock()
	for _, s := range l.sockets {
		if s != nil {
			l.swept = append(l.swept, s)
		}
	}
	l.mu.Unlock()
	for _, s := range l.swept {
		l.limited(s.expired(now))
	}
	clear(l.swept)
	l.swept = l.swept[:0]
	l.apart(now)
}

// wait waits for events: for yieldTime, without limit if the loop is resting, and not at all if there is work.
func (l *loop) wait(events []unix.EpollEvent, resting, working bool) (n int, err error) {
	ms := -1
	if limit := l.timeout(resting, working, yieldTime); limit >= 0 {
		ms = int((limit + time.Millisecond - 1) / time.Millisecond)
	}
	if resting {
		n, err = unix.EpollWait(l.epoll, events, ms)
	} else {
		n, err = rawEpollWait(l.epoll, events, ms)
	}
	if err == unix.EINTR {
		return 0, nil
	}
	return max(n, 0), err
}

// rawEpollWait waits without the scheduler's knowledge, so that it does not take the processor away from a loop that is about to be
// woken. The process has one processor more for each loop.
func rawEpollWait(epoll int, events []unix.EpollEvent, ms int) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
