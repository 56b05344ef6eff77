package vectors

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// arrived waits until the kernel of the peer has received everything that was sent on c.
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
