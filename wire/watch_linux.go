package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Watch learns from the kernel that clients left, whether or not anybody reads from them: one epoll set, in
// which every client is registered once, edge-triggered, for its peer's FIN or RST alone. That costs nothing a
// request, and unread pipelined bytes do not hide the FIN as they would from a read.
type Watch struct {
	epoll *os.File

	mu      sync.Mutex
	clients map[int32]*Client // guarded by mu: by descriptor
	serial  int32             // guarded by mu: tells a descriptor's users apart
}

// watchID is what the kernel gives back with an event.
type watchID struct{ fd, serial int32 }

// NewWatch makes an empty watch; Run makes it work.
func NewWatch() (*Watch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll set: %w", err)
	}
	// Non-blocking, so that os.NewFile puts the set itself into the runtime's poller: waiting then costs no thread.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("prepare epoll set: %w", err)
	}
	return &Watch{epoll: os.NewFile(uintptr(fd), "epoll"), clients: make(map[int32]*Client)}, nil
}

// Run tells clients that their peers left until ctx ends, and then closes the watch.
func (w *Watch) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = w.epoll.Close() })
	defer stop()
	raw, err := w.epoll.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch clients: %w", err)
	}
	events := make([]unix.EpollEvent, 256)
	for {
		var n int
		var waitErr error
		err := raw.Read(func(fd uintptr) bool {
			n, waitErr = unix.EpollWait(int(fd), events, 0)
			return n != 0 || waitErr != nil && waitErr != unix.EINTR
		})
		if ctx.Err() != nil {
			return nil
		}
		if err = errors.Join(err, waitErr); err != nil {
			return fmt.Errorf("watch clients: %w", err)
		}
		for _, e := range events[:n] {
			w.left(watchID{fd: e.Fd, serial: e.Pad})
		}
	}
}

func (w *Watch) left(id watchID) {
	w.mu.Lock()
	c := w.clients[id.fd]
	w.mu.Unlock()
	if c != nil && c.id == id { // else an event of a descriptor's former user
		c.peerLeft()
	}
}

func (w *Watch) add(c *Client) error {
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		return err
	}
	var addErr error
	err = raw.Control(func(fd uintptr) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.serial++
		c.id = watchID{fd: int32(fd), serial: w.serial}
		w.clients[c.id.fd] = c
		event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.id.fd, Pad: c.id.serial}
		if addErr = w.control(unix.EPOLL_CTL_ADD, &event); addErr != nil {
			delete(w.clients, c.id.fd)
		}
	})
	return errors.Join(err, addErr)
}

func (w *Watch) control(op int, event *unix.EpollEvent) error {
	raw, err := w.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var ctlErr error
	err = raw.Control(func(fd uintptr) { ctlErr = unix.EpollCtl(int(fd), op, int(event.Fd), event) })
	return errors.Join(err, ctlErr)
}

// remove forgets c before its descriptor is closed and may be given to another connection. The kernel drops a
// closed descriptor from the set by itself.
func (w *Watch) remove(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clients[c.id.fd] == c {
		delete(w.clients, c.id.fd)
	}
}
