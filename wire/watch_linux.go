package wire

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// kernelWatch is an epoll set in which every client is registered, edge-triggered, for its peer's FIN or RST alone.
type kernelWatch struct{ epoll *os.File }

func newKernelWatch() (kernelWatch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return kernelWatch{}, fmt.Errorf("create epoll set: %w", err)
	}
	// Non-blocking, so that os.NewFile puts the set itself into the runtime's poller: waiting then costs no thread.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return kernelWatch{}, fmt.Errorf("prepare epoll set: %w", err)
	}
	return kernelWatch{os.NewFile(uintptr(fd), "epoll")}, nil
}

func newWatchID(fd uintptr, serial int32) watchID { return watchID{fd: int32(fd), serial: serial} }

// Run aborts what is bound to clients that leave, until ctx ends, and then closes the watch.
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

func (k kernelWatch) register(id watchID) error {
	raw, err := k.epoll.SyscallConn()
	if err != nil {
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: id.fd, Pad: id.serial}
	var addErr error
	err = raw.Control(func(fd uintptr) { addErr = unix.EpollCtl(int(fd), unix.EPOLL_CTL_ADD, int(id.fd), &event) })
	return errors.Join(err, addErr)
}
