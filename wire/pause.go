package wire

import (
	"errors"
	"net"
	"time"
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// Pause makes Accept return net.ErrClosed, now and until resume is called. The kernel goes on queueing connections. Pause returns the
// listening socket, so that it can be passed to another process; it still belongs to the listener.
func (l *Listener) Pause() (socket *net.TCPListener, resume func() error, err error) {
	l.paused.Store(true)
	resume = func() error {
		l.paused.Store(false)
		return l.setDeadline(time.Time{})
	}
	return l.tcp, resume, l.setDeadline(past)
}

func (l *Listener) setDeadline(t time.Time) error {
	err := l.tcp.SetDeadline(t)
	if l.acceptor != nil {
		err = errors.Join(err, l.acceptor.SetDeadline(t))
	}
	return err
}
