package wire

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// kernelWatch is a kqueue in which every client is registered for the end of its peer's sending side.
type kernelWatch struct{ kqueue int }

// wholeWindow is a low-water mark that no amount of unread data reaches: only the peer's end makes an event.
const wholeWindow = 1 << 30

func newKernelWatch() (kernelWatch, error) {
	fd, err := unix.Kqueue()
	if err != nil {
		return kernelWatch{}, fmt.Errorf("create kqueue: %w", err)
	}
	unix.CloseOnExec(fd)
	return kernelWatch{fd}, nil
}

// newWatchID has no serial: a kqueue returns the descriptor alone.
func newWatchID(fd uintptr, _ int32) watchID { return watchID{fd: int32(fd)} }

// Run aborts what is bound to clients that leave, until ctx ends, and then closes the watch.
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
				w.left(watchID{fd: int32(e.Ident)})
			}
		}
	}
	return nil
}

func (k kernelWatch) register(id watchID) error {
	event := unix.Kevent_t{Fflags: unix.NOTE_LOWAT, Data: wholeWindow}
	unix.SetKevent(&event, int(id.fd), unix.EVFILT_READ, unix.EV_ADD|unix.EV_CLEAR)
	_, err := unix.Kevent(k.kqueue, []unix.Kevent_t{event}, nil, nil)
	return err
}
