// Package passing passes listening sockets from one process to another, over a Unix socket. It does not know why, or who listens.
package passing

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxPassed limits the listeners that are passed at once.
const maxPassed = 8

// Send passes listening sockets to the process at the other end of c, with a text of at most 64 KiB. The sockets go on
// queueing connections, whoever has them.
func Send(c *net.UnixConn, text []byte, listeners ...*net.TCPListener) error {
	var fds []int
	for _, l := range listeners {
		raw, err := l.SyscallConn()
		if err != nil {
			return err
		}
		// The descriptor stays open: the caller closes the socket after the call.
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return err
		}
	}
	_, _, err := c.WriteMsgUnix(text, unix.UnixRights(fds...), nil)
	return err
}

// Receive receives what Send passed. The text is valid until buf is used again. The caller closes the listeners.
func Receive(c *net.UnixConn, buf []byte) (text []byte, all []*net.TCPListener, err error) {
	rights := make([]byte, unix.CmsgSpace(maxPassed*4))
	n, rightsLen, _, _, err := c.ReadMsgUnix(buf, rights)
	if err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rightsLen])
	if err != nil {
		return nil, nil, err
	}
	for _, m := range messages {
		fds, rightsErr := unix.ParseUnixRights(&m)
		err = errors.Join(err, rightsErr)
		for _, fd := range fds {
			l, listenerErr := listenerOf(fd)
			err = errors.Join(err, listenerErr)
			if l != nil {
				all = append(all, l)
			}
		}
	}
	if err != nil {
		for _, l := range all {
			_ = l.Close()
		}
		return nil, nil, err
	}
	return buf[:n], all, nil
}

// listenerOf makes a listener of a descriptor, which it closes.
func listenerOf(fd int) (*net.TCPListener, error) {
	unix.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "passed listener")
	defer file.Close() // the listener has a descriptor of its own
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	tcp, is := l.(*net.TCPListener)
	if !is {
		_ = l.Close()
		return nil, fmt.Errorf("a %T was passed, want a TCP listener", l)
	}
	return tcp, nil
}
