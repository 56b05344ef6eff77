package vectors

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// arrived waits until the other side's kernel has all that was sent on c, so that whoever looks there finds it.
func arrived(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		left := 0
		_ = raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if left == 0 {
			return
		}
	}
}
