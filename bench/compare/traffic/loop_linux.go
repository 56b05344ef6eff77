package traffic

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watched is a descriptor that a loop watches.
type watched interface {
	// ready is called when the descriptor has bytes to read, accepts bytes, or has failed.
	ready()
}

// loop calls what is ready and what is due, all on one thread. Its maps and heap belong to that thread.
type loop struct {
	epoll, bell int       // bell is an eventfd that ends a wait
	watching    []watched // by descriptor
	timers      timers
	buffer      []byte // for what is received

	mu    sync.Mutex
	posts []func() // guarded by mu

	ended bool
	done  chan struct{}
}

func newLoop() (*loop, error) {
	l := &loop{buffer: make([]byte, 256<<10), done: make(chan struct{})}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(l.epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := l.watch(l.bell, nil); err != nil {
		return nil, err
	}
	if _, err := l.wait(make([]unix.EpollEvent, 1), &unix.Timespec{}); err != nil {
		return nil, fmt.Errorf("epoll_pwait2 (Linux 5.11 or newer): %w", err)
	}
	return l, nil
}

// watch adds a descriptor to the loop.
func (l *loop) watch(fd int, w watched) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	for len(l.watching) <= fd {
		l.watching = append(l.watching, nil)
	}
	l.watching[fd] = w
	return nil
}

// wantsToSend sets whether the loop also reports that the descriptor accepts bytes.
func (l *loop) wantsToSend(fd int, wants bool) {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	if wants {
		event.Events |= unix.EPOLLOUT
	}
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, fd, &event) // the descriptor is in the set
}

// forget removes a descriptor and closes it.
func (l *loop) forget(fd int) {
	l.watching[fd] = nil
	unix.Close(fd)
}

// at makes the loop call t at the time due, in nanoseconds of the monotonic clock.
func (l *loop) at(due int64, t timed) { l.timers.push(timer{due, t}) }

// do runs f on the loop's thread and returns when f has returned.
func (l *loop) do(f func()) {
	ran := make(chan struct{})
	l.mu.Lock()
	l.posts = append(l.posts, func() { f(); close(ran) })
	l.mu.Unlock()
	one := [8]byte{1}
	_, _ = unix.Write(l.bell, one[:]) // a full counter rings too
	<-ran
}

// run serves until stop. The thread waits without telling Go's scheduler, which keeps a wake-up cheap: GOMAXPROCS must leave a processor
// for each loop.
func (l *loop) run() {
	runtime.LockOSThread()
	defer close(l.done)
	events := make([]unix.EpollEvent, 512)
	for !l.ended {
		n, err := l.wait(events, l.patience())
		if err != nil {
			panic(fmt.Sprintf("BUG: epoll_pwait2: %v", err))
		}
		for _, e := range events[:n] {
			if e.Fd == int32(l.bell) {
				l.take()
			} else if w := l.watching[e.Fd]; w != nil {
				w.ready()
			}
		}
		l.fire()
	}
}

// stop ends the loop and closes all its descriptors.
func (l *loop) stop() {
	l.do(func() { l.ended = true })
	<-l.done
	for fd, w := range l.watching {
		if w != nil {
			unix.Close(fd)
		}
	}
	unix.Close(l.bell)
	unix.Close(l.epoll)
}

// take runs what others posted.
func (l *loop) take() {
	var count [8]byte
	_, _ = unix.Read(l.bell, count[:])
	l.mu.Lock()
	posts := l.posts
	l.posts = nil
	l.mu.Unlock()
	for _, f := range posts {
		f()
	}
}

// maxTicks is how many timers fire between two looks at the descriptors. A loop that cannot keep up must still take what others post.
const maxTicks = 1024

// fire calls what is due, up to maxTicks times.
func (l *loop) fire() {
	for range maxTicks {
		if len(l.timers) == 0 {
			return
		}
		now := Now()
		if l.timers[0].due > now {
			return
		}
		t := l.timers.pop()
		t.tick(t.due, now)
	}
}

// patience returns how long the loop may wait: until the next timer, or nil for no limit.
func (l *loop) patience() *unix.Timespec {
	if len(l.timers) == 0 {
		return nil
	}
	t := unix.NsecToTimespec(max(l.timers[0].due-Now(), 0))
	return &t
}

func (l *loop) wait(events []unix.EpollEvent, limit *unix.Timespec) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
			uintptr(unsafe.Pointer(limit)), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			return 0, nil
		default:
			return 0, errno
		}
	}
}
