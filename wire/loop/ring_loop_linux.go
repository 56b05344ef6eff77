package loop

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tether/wire/uring"
)

// ringLoop is a backend over io_uring. One system call starts the operations of all sockets and waits for the next ones that end. If many have
// ended, others follow: see collect.
type ringLoop struct {
	ring  *uring.Ring
	waker int // an eventfd that the ring polls: a write to it ends the wait

	mu      sync.Mutex
	posted  []posted // guarded by mu: to be looked at
	awake   bool     // guarded by mu: the thread takes posted before it waits
	stopped bool     // guarded by mu: the thread takes no more

	// The rest belongs to the thread.
	sockets []*ringDriven // by descriptor: all whose descriptors the thread must close
	changed []*ringDriven // whose operations may have to be started
	again   []*ringDriven // that have something to tell their drivers
	quiet   []*ringDriven // whose quiet sends were queued
	work    []posted      // what is looked at after the next completions
	spare   spareBuffers
	batch   uint64 // of completions
	polled  bool   // the ring polls waker
	limits
	pace
}

// posted is a socket that the thread looks at, and its new driver, nil for none. A socket that was posted before another one gets its driver before
// it, as the driver of one may work with both.
type posted struct {
	s     *ringDriven
	d     Driver
	limit time.Time
}

// ringSize is that of a ring. The buffers hold what a batch receives: see collect. An operation that finds none ends, and starts again.
var ringSize = uring.Config{Entries: 256, Completions: 1024, Buffers: []uring.Buffers{onceBuffers: {Number: 64, Size: readSize}, eachBuffers: {Number: 64, Size: shortSize}}}

// The groups of buffers.
const (
	onceBuffers = iota // of userReceive
	eachBuffers        // of userEach

	// shortSize bounds what counts as a short message of a server: an event, or an ordinary answer.
	shortSize = 2 << 10
)

func buffersOf(kind uint64) int {
	if kind == userEach {
		return eachBuffers
	}
	return onceBuffers
}

func newRingLoop() (backend, error) {
	ring, err := uring.Open(ringSize)
	if err != nil {
		return nil, err
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		ring.Close()
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	return &ringLoop{ring: ring, waker: waker}, nil
}

func (l *ringLoop) close() {
	l.ring.Close()
	_ = unix.Close(l.waker)
}

func (l *ringLoop) adopt(fd int, local, remote net.Addr, hungUp func()) (*Socket, error) {
	s := &ringDriven{endpoint: endpoint{fd: fd, local: local, remote: remote, hungUp: hungUp}, loop: l}
	if !l.post(posted{s: s}) {
		_ = unix.Close(fd)
		return nil, net.ErrClosed
	}
	return &Socket{&s.endpoint, s, s}, nil
}

// post makes the thread look at a socket, and reports false if it has stopped.
func (l *ringLoop) post(p posted) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.posted = append(l.posted, p)
	l.wakeLocked()
	return true
}

func (l *ringLoop) wakeLocked() {
	if !l.awake {
		l.awake = true
		_, _ = unix.Write(l.waker, one[:]) // it is never full
	}
}

// later makes the thread tell the driver of s after the completions of this batch.
func (l *ringLoop) later(s *ringDriven) {
	if !s.queued {
		s.queued = true
		l.again = append(l.again, s)
	}
}

// touch makes the thread start the operations that s needs before the next wait.
func (l *ringLoop) touch(s *ringDriven) {
	if !s.touched {
		s.touched = true
		l.changed = append(l.changed, s)
	}
}

// What an operation is for, as its user says it. The user of an operation of a socket has its descriptor too.
const (
	userNone    = iota // a cancellation
	userWaker          // the wait ends
	userReceive        // once
	userEach           // again and again
	userSend
	userReadable // a goroutine reads
	userWritable // a goroutine writes
	userLeft     // the peer leaves

	userBits = 8
)

// run implements backend.
func (l *ringLoop) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.end()
	if err := l.ring.Enable(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.wakeLocked()
	})
	defer stop()
	resting := false
	for ctx.Err() == nil {
		work := l.takeWork()
		l.settleAll()
		working := !l.polled || len(work)+len(l.changed)+len(l.again) > 0
		resting = resting && !working
		if err := l.ring.Enter(uring.Wait{Limit: l.timeout(resting, working, restTime), Told: resting}); err != nil {
			return fmt.Errorf("wait for io_uring: %w", err)
		}
		if err := collect(l.ring); err != nil {
			return fmt.Errorf("collect completions of io_uring: %w", err)
		}
		now := time.Now()
		n := l.handle(now)
		l.look(now, work)
		if l.due(now) {
			l.sweepLimits(now)
		}
		resting = l.rests(now, n > 0 || working)
	}
	return nil
}

// takeWork takes the sockets that have something to tell their drivers, and those that were posted. They are looked at after the next
// completions: whatever happened to an idle connection before is known then.
func (l *ringLoop) takeWork() []posted {
	l.work = l.work[:0]
	for _, s := range l.again {
		s.queued = false
		l.work = append(l.work, posted{s: s})
	}
	l.again = l.again[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.work = append(l.work, l.posted...)
	clear(l.posted)
	l.posted = l.posted[:0]
	l.awake = len(l.work) > 0
	return l.work
}

// wakened notes that the thread does not wait any more.
func (l *ringLoop) wakened() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awake = true
}

// roomForOne is how many operations one socket may need at once.
const roomForOne = 6

// hasRoom reports whether the queue has room for what one socket may need. If it has none, what is queued is started.
func (l *ringLoop) hasRoom() bool {
	if l.ring.Room() < roomForOne {
		_ = l.ring.Enter(uring.Wait{}) // an error shows at the next wait
	}
	return l.ring.Room() >= roomForOne
}

// settleAll starts the operations that sockets need. Those that the queue has no room for stay in changed.
func (l *ringLoop) settleAll() {
	if !l.polled && l.hasRoom() {
		l.ring.PollEach(l.waker, unix.POLLIN, userWaker)
		l.polled = true
	}
	for i, s := range l.changed {
		if !l.hasRoom() {
			l.changed = slices.Delete(l.changed, 0, i)
			return
		}
		s.touched = false
		settle(s)
	}
	clear(l.changed)
	l.changed = l.changed[:0]
}

// handle handles the completions that have arrived, and returns how many there were. Those of idle connections come first: one that has become stale must
// not be taken by a completion that stands before its own.
func (l *ringLoop) handle(now time.Time) int {
	l.wakened()
	n := l.ring.Arrived()
	if n > 0 {
		synchronizeReceived()
		l.batch++
	}
	for i := range n {
		l.handleIdle(now, l.ring.At(i))
	}
	quiet := quietlySent(l)
	for _, s := range quiet {
		sent(s, now, len(s.flying), nil)
	}
	clear(quiet)
	for i := range n {
		if i%clockEvents == clockEvents-1 {
			now = time.Now()
		}
		l.handleOne(now, l.ring.At(i))
	}
	l.ring.Handled(n)
	return n
}

// quietlySent takes the sockets whose quiet sends are over. Those that the kernel has not taken whole are not quiet any more.
func quietlySent(l *ringLoop) (all []*ringDriven) {
	if l.ring.Room() < ringSize.Entries { // the kernel has not started all
		return nil
	}
	all = slices.DeleteFunc(l.quiet, func(s *ringDriven) bool { return !s.quiet })
	l.quiet = l.quiet[:0]
	return all
}

// handleIdle handles what was received on a connection without a driver. Of others, it notes what will be received after the first part, and which
// sends are not quiet.
func (l *ringLoop) handleIdle(now time.Time, c *uring.Completion) {
	kind := c.User & (1<<userBits - 1)
	if kind != userReceive && kind != userEach && kind != userSend {
		return
	}
	s := l.sockets[c.User>>userBits]
	switch {
	case kind == userSend:
		s.quiet = false
		return
	case s.driver == nil:
		received(s, now, c, kind)
		c.User = userNone
		return
	case s.batch == l.batch:
		expect(s)
	}
	s.batch = l.batch
	if endOf(c) != nil {
		hangUp(s)
	}
}

func (l *ringLoop) handleOne(now time.Time, c *uring.Completion) {
	kind := c.User & (1<<userBits - 1)
	switch kind {
	case userNone:
		return
	case userWaker:
		l.polled = c.More()
		return
	}
	switch s := l.sockets[c.User>>userBits]; kind {
	case userReceive, userEach:
		received(s, now, c, kind)
	case userSend:
		sent(s, now, int(max(0, c.Result)), c.Err())
	default:
		polled(s, c, kind)
	}
}

func (l *ringLoop) look(now time.Time, work []posted) {
	for _, p := range work {
		p.s.look(now, p.d, p.limit)
	}
	clear(work)
}

// enter makes the thread the owner of the descriptor of s.
func (l *ringLoop) enter(s *ringDriven) {
	for len(l.sockets) <= s.fd {
		l.sockets = append(l.sockets, make([]*ringDriven, max(64, len(l.sockets)))...)
	}
	l.sockets[s.fd] = s
}

// sweepLimits tells the drivers whose limits have passed, and finds the next limit.
func (l *ringLoop) sweepLimits(now time.Time) {
	l.sweep = time.Time{}
	for _, s := range l.sockets {
		if s != nil {
			l.limited(s.expired(now))
		}
	}
	l.apart(now)
}

// endTime bounds the wait for the operations of a loop that ends. All are cancelled, so that none waits for a peer.
const endTime = time.Second

// end cancels all operations, and closes the descriptors of the sockets that are closed. Those of others are closed by Close.
func (l *ringLoop) end() {
	for deadline := time.Now().Add(endTime); l.cancelAll() && time.Now().Before(deadline); {
		if l.ring.Enter(uring.Wait{Limit: endTime}) != nil {
			break
		}
		for _, s := range quietlySent(l) {
			over(s, userSend)
		}
		n := l.ring.Arrived()
		for i := range n {
			c := l.ring.At(i)
			kind := c.User & (1<<userBits - 1)
			if kind > userWaker && !c.More() {
				over(l.sockets[c.User>>userBits], kind)
			}
			l.ring.Reuse(c, buffersOf(kind))
		}
		l.ring.Handled(n)
	}
	for _, p := range append(l.stop(), l.work...) {
		if p.s != nil {
			closeIfClosed(p.s)
		}
	}
	for _, s := range l.sockets {
		if s != nil {
			closeIfClosed(s)
		}
	}
}

// stop makes post fail, and returns what the thread has not looked at.
func (l *ringLoop) stop() []posted {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	return l.posted
}

// cancelAll cancels the operations of all sockets, and reports whether there are any.
func (l *ringLoop) cancelAll() (any bool) {
	for _, s := range l.sockets {
		if s != nil && (!l.hasRoom() || cancelAllOf(s)) {
			any = true
		}
	}
	return any
}
