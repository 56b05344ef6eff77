package loop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Acceptor accepts the clients of a listener for Loops. Go's poller waits for them, but never gets their descriptors.
type Acceptor struct {
	loops  *Loops
	local  net.Addr
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

// NewAcceptor makes an Acceptor of another descriptor of a listener. Both must be closed.
func (ls *Loops) NewAcceptor(l *net.TCPListener) (*Acceptor, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	err = raw.Control(func(listening uintptr) { fd, dupErr = unix.FcntlInt(listening, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("duplicate listener: %w", err)
	}
	a := &Acceptor{loops: ls, local: l.Addr(), file: os.NewFile(uintptr(fd), "listener")} // it does not block, so this puts it into Go's poller
	if a.raw, err = a.file.SyscallConn(); err != nil {
		_ = a.file.Close()
		return nil, err
	}
	return a, nil
}

// Close ends Accept.
func (a *Acceptor) Close() {
	a.closed.Store(true)
	_ = a.file.Close()
}

// SetDeadline makes Accept fail at t, and all later calls until the deadline changes; the zero time is none.
func (a *Acceptor) SetDeadline(t time.Time) error { return a.file.SetReadDeadline(t) }

// Accept waits for the next client. After Close the error is net.ErrClosed.
func (a *Acceptor) Accept() (Accepted, error) {
	fd, from, err := a.accept()
	return Accepted{a, fd, from}, err
}

// Accepted is a client that was accepted, until Socket or Conn.
type Accepted struct {
	by   *Acceptor
	fd   int
	from unix.Sockaddr
}

// Socket puts the client on the loop whose turn it is. hungUp is called on the thread of that loop when the peer has left.
func (c Accepted) Socket(hungUp func()) (*Socket, error) {
	return c.by.loops.nextLoop().adopt(c.fd, c.by.local, tcpAddr(c.from), hungUp)
}

// Conn puts the client into Go's poller.
func (c Accepted) Conn() (*net.TCPConn, error) {
	file := os.NewFile(uintptr(c.fd), "client")
	defer file.Close() // the connection has a descriptor of its own
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (a *Acceptor) accept() (fd int, from unix.Sockaddr, err error) {
	var acceptErr error
	err = a.raw.Read(func(listening uintptr) bool {
		for {
			fd, from, acceptErr = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if acceptErr != unix.EINTR && acceptErr != unix.ECONNABORTED {
				return acceptErr != unix.EAGAIN
			}
		}
	})
	if err != nil { // otherwise a client was accepted, even if the listener is closed by now
		if a.closed.Load() {
			err = net.ErrClosed
		}
		return 0, nil, err
	}
	return fd, from, acceptErr
}

func tcpAddr(a unix.Sockaddr) *net.TCPAddr {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: zoneName(a.ZoneId)}
	}
	return &net.TCPAddr{}
}

// zoneName is the name of a network interface, "" for none.
func zoneName(index uint32) string {
	if index == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return ""
}
