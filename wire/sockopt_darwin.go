package wire

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketOptions sets nothing: this kernel has no TCP_USER_TIMEOUT, and TCP's own limits hold.
func socketOptions(time.Duration, int) func(network, address string, raw syscall.RawConn) error {
	return nil
}

// dropNew fails: this kernel has no filters on listening sockets.
func dropNew(syscall.RawConn) error { return unix.ENOTSUP }

// backlog is unknown here.
func backlog(syscall.RawConn) int { return 0 }

// delayAcks does nothing: this kernel has no option for it.
func delayAcks(syscall.RawConn) {}

// quiet reports whether there is nothing to read: no byte, no end, no error.
func quiet(fd uintptr) bool {
	var b [1]byte
	_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == unix.EAGAIN
}

// unsent is how many bytes wait in the socket, sent or not, to be acknowledged; 0 if unknown.
func unsent(fd uintptr) int {
	n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NWRITE)
	if err != nil {
		return 0
	}
	return n
}
