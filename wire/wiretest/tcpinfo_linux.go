package wiretest

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TCPInfo returns what the kernel tells of a TCP connection.
func TCPInfo(t testing.TB, c syscall.Conn) (info *unix.TCPInfo) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var infoErr error
	err = raw.Control(func(fd uintptr) { info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil || infoErr != nil {
		t.Fatal(err, infoErr)
	}
	return info
}
