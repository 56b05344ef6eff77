package wire

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func option(t *testing.T, c syscall.Conn, level, opt int) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var v int
	var optErr error
	if err := raw.Control(func(fd uintptr) { v, optErr = unix.GetsockoptInt(int(fd), level, opt) }); err != nil {
		t.Fatal(err)
	}
	if optErr != nil {
		t.Fatal(optErr)
	}
	return v
}

// The limits that end a vanished host's connections, as the kernel has them, on both sides.
func TestVanishedHostOptions(t *testing.T) {
	l := listen(t, ListenConfig{WriteTimeout: 7 * patience})
	_, c := connect(t, l)
	up := dial(t, l.Addr().String())
	for name, side := range map[string]struct {
		conn        syscall.Conn
		userTimeout int
	}{
		"client":   {c.tcp, 70_000},
		"upstream": {up.Conn.(*net.TCPConn), 30_000},
	} {
		for _, o := range []struct{ level, opt, want int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 10},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, side.userTimeout},
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		} {
			if got := option(t, side.conn, o.level, o.opt); got != o.want {
				t.Errorf("%s: option %d/%d is %d, want %d", name, o.level, o.opt, got, o.want)
			}
		}
	}
}
