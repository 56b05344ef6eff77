package wire

import (
	"errors"
	"sync"
)

// Watch learns from the kernel that clients left, whether or not any goroutine reads from them. Every client is registered once.
// That costs nothing per request, and unread pipelined bytes do not hide the FIN as they would from a read.
type Watch struct {
	kernelWatch

	mu      sync.Mutex
	clients map[int32]*Client // guarded by mu: by descriptor
	serial  int32             // guarded by mu: tells the users of one descriptor apart
}

// watchID is what the kernel returns with an event.
type watchID struct{ fd, serial int32 }

// NewWatch makes an empty watch; Run makes it work.
func NewWatch() (*Watch, error) {
	kernel, err := newKernelWatch()
	if err != nil {
		return nil, err
	}
	return &Watch{kernelWatch: kernel, clients: make(map[int32]*Client)}, nil
}

// left handles the kernel's event that the peer of a client left.
func (w *Watch) left(id watchID) {
	w.mu.Lock()
	c := w.clients[id.fd]
	w.mu.Unlock()
	if c != nil && c.id == id { // else the event is of a former user of the descriptor
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
		c.id = newWatchID(fd, w.serial)
		w.clients[c.id.fd] = c
		if addErr = w.register(c.id); addErr != nil {
			delete(w.clients, c.id.fd)
		}
	})
	return errors.Join(err, addErr)
}

// remove forgets c before its descriptor is closed and may be given to another connection. The kernel forgets a closed
// descriptor by itself.
func (w *Watch) remove(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.clients[c.id.fd] == c {
		delete(w.clients, c.id.fd)
	}
}
