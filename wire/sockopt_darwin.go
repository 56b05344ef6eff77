package wire

import (
	"syscall"
	"time"
)

// setUserTimeout is nothing where the kernel has no TCP_USER_TIMEOUT; TCP's own limits hold.
func setUserTimeout(time.Duration) func(network, address string, raw syscall.RawConn) error {
	return nil
}
