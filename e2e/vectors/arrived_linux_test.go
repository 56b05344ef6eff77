package vectors

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// arrived waits until the kernel of the peer has received everything that was sent on c. A reset acknowledges nothing, but the peer has sent it
// because of what it had received.
func arrived(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		left := 0
		_ = raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && info.State != unix.BPF_TCP_CLOSE {
				left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			}
		})
		if left == 0 {
			return
		}
	}
}
