package wire

import (
	"errors"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setUserTimeout gives the Control function that sets TCP_USER_TIMEOUT, or nil for 0. Accepted connections
// inherit it from their listener.
func setUserTimeout(d time.Duration) func(network, address string, raw syscall.RawConn) error {
	if d == 0 {
		return nil
	}
	return func(network, _ string, raw syscall.RawConn) error {
		if network == "unix" {
			return nil
		}
		var optErr error
		err := raw.Control(func(fd uintptr) {
			optErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		return errors.Join(err, optErr)
	}
}

// quiet reports whether nothing at all is there to read: no byte, no end, no error. It is a look, so a raw system
// call will do: it never blocks.
func quiet(fd uintptr) bool {
	var b [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN
}

// unsent is how many bytes wait in the socket, sent or not, to be acknowledged; 0 where that cannot be told.
func unsent(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
