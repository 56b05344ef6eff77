package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Watch learns from the kernel that clients left: one kqueue, in which every client is registered once.
type Watch struct {
	kqueue int

	mu      sync.Mutex
	clients map[uint64]*Client // guarded by mu: by descriptor
}

type watchID struct{ fd uint64 }

// wholeWindow is a low-water mark that no amount of unread data reaches: only the peer's end makes an event.
const wholeWindow = 1 << 30

// NewWatch makes an empty watch; Run makes it work.
func NewWatch() (*Watch, error) {
	fd, err := unix.Kqueue()
	if err != nil {
		return nil, fmt.Errorf("create kqueue: %w", err)
	}
	unix.CloseOnExec(fd)
	return &Watch{kqueue: fd, clients: make(map[uint64]*Client)}, nil
}

// Run tells clients that their peers left until ctx ends, and then closes the watch.
func (w *Watch) Run(ctx context.Context) error {
	defer unix.Close(w.kqueue)
	events := make([]unix.Kevent_t, 256)
	second := unix.Timespec{Sec: 1}
	for ctx.Err() == nil {
		n, err := unix.Kevent(w.kqueue, nil, events, &second)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch clients: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if e.Flags&unix.EV_EOF != 0 {
				w.left(e.Ident)
			}
		}
	}
	return nil
}

func (w *Watch) left(fd uint64) {
	w.mu.Lock()
	c := w.clients[fd]
	w.mu.Unlock()
	if c != nil {
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
		c.id = watchID{fd: uint64(fd)}
		w.clients[c.id.fd] = c
		change := unix.Kevent_t{Fflags: unix.NOTE_LOWAT, Data: wholeWindow}
		unix.SetKevent(&change, int(fd), unix.EVFILT_READ, unix.EV_ADD|unix.EV_CLEAR)
		if _, addErr = unix.Kevent(w.kqueue, []unix.Kevent_t{change}, nil, nil); addErr != nil {
			delete(w.clients, c.id.fd)
		}
	})
	return errors.Join(err, addErr)
}

// remove forgets c before its descriptor is closed and may be given to another connection.
func (w *Watch) remove(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clients[c.id.fd] == c {
		delete(w.clients, c.id.fd)
	}
}
