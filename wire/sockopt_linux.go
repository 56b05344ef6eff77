package wire

import (
	"errors"
	"syscall"
	"time"

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
