package wire

import (
	"errors"
	"net"
	"os"
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

// Out of descriptors, Accept waits for one to become free and goes on.
func TestAcceptSurvivesDescriptorLimit(t *testing.T) {
	l := listen(t, ListenConfig{})
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	var hogs []*os.File
	low := before
	low.Cur = 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		for _, h := range hogs {
			h.Close()
		}
		hogs = nil
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, unix.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		hogs = append(hogs, f)
	}
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		accepted <- err
	}()
	select {
	case err := <-accepted:
		t.Fatalf("accepted without a descriptor: %v", err)
	default:
	}
	restore()
	if err := <-accepted; err != nil {
		t.Errorf("Accept ended with %v", err)
	}
}
