package traffic

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// socket is a TCP connection of a loop. What the kernel did not take yet waits in unsent.
type socket struct {
	loop   *loop
	fd     int
	unsent []byte
}

// listen returns a listening descriptor on a free port of 127.0.0.1, and its address.
func listen() (fd int, addr string, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, "", fmt.Errorf("socket: %w", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = unix.Listen(fd, 4096)
	}
	var own unix.Sockaddr
	if err == nil {
		own, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return 0, "", fmt.Errorf("listen: %w", err)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", own.(*unix.SockaddrInet4).Port), nil
}

// connect begins to connect to an IPv4 address. The socket accepts bytes once it is connected.
func connect(addr string) (fd int, err error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return 0, fmt.Errorf("connect: %w", err)
	}
	noDelay(fd)
	return fd, nil
}

// noDelay makes the kernel send bytes at once.
func noDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// send sends b, or keeps a copy of what the kernel does not take yet.
func (s *socket) send(b []byte) error {
	if len(s.unsent) > 0 {
		s.unsent = append(s.unsent, b...)
		return nil
	}
	n, err := s.write(b)
	if err != nil || n == len(b) {
		return err
	}
	s.unsent = append(s.unsent, b[n:]...)
	s.loop.wantsToSend(s.fd, true)
	return nil
}

// flush sends what waits.
func (s *socket) flush() error {
	if len(s.unsent) == 0 {
		return nil
	}
	n, err := s.write(s.unsent)
	if s.unsent = s.unsent[n:]; err == nil && len(s.unsent) == 0 {
		s.unsent = nil
		s.loop.wantsToSend(s.fd, false)
	}
	return err
}

func (s *socket) write(b []byte) (int, error) {
	n, err := unix.SendmsgN(s.fd, b, nil, nil, unix.MSG_NOSIGNAL)
	if err == unix.EAGAIN || err == unix.EINTR || err == unix.ENOTCONN {
		return 0, nil
	}
	return max(n, 0), err
}

// receive returns what the kernel has, in the loop's buffer. It is empty if nothing has arrived. open is false once the peer has closed.
func (s *socket) receive() (b []byte, open bool, err error) {
	n, err := unix.Read(s.fd, s.loop.buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	return s.loop.buffer[:n], n > 0, nil
}

// reset closes the connection by a reset, so that no port waits for late segments.
func (s *socket) reset() {
	_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	s.loop.forget(s.fd)
	s.fd = -1
}
