package wire

import (
	"crypto/tls"
	"net"
	"syscall"
	"testing"
	"time"

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

// The kernel has the limits that end a vanished host's connections, on both sides.
func TestVanishedHostOptions(t *testing.T) {
	l := listen(t, ListenConfig{WriteTimeout: 7 * patience})
	_, c := connect(t, l)
	up := dial(t, l.Addr().String())
	for name, side := range map[string]struct {
		conn        syscall.Conn
		userTimeout int
		unsent      int
	}{
		"client":   {c.tcp, 70_000, maxUnsent},
		"upstream": {up.Conn.(*net.TCPConn), 30_000, 0},
	} {
		for _, o := range []struct{ level, opt, want int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 10},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 3},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 5},
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, side.userTimeout},
			{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, side.unsent},
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		} {
			if got := option(t, side.conn, o.level, o.opt); got != o.want {
				t.Errorf("%s: option %d/%d is %d, want %d", name, o.level, o.opt, got, o.want)
			}
		}
	}
}

// For a peer that does not read, the kernel takes what fits into the peer's buffers, and little more.
func TestUnsentIsBounded(t *testing.T) {
	peer, c := connect(t, listen(t, ListenConfig{}))
	if err := peer.SetReadBuffer(64 << 10); err != nil { // else it grows
		t.Fatal(err)
	}
	if err := c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	taken, err := 0, error(nil)
	for part := make([]byte, 16<<10); err == nil; {
		var n int
		n, err = c.Write(part)
		taken += n
	}
	theirs := option(t, peer, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if most := theirs + 2*maxUnsent; !IsTimeout(err) || taken > most {
		t.Errorf("took %d KiB, want at most %d; %v", taken>>10, most>>10, err)
	}
}

// Other terms count for the clients that are accepted from now on.
func TestUse(t *testing.T) {
	l := listen(t, ListenConfig{WriteTimeout: 7 * time.Second})
	_, before := connect(t, l)
	secure := &tls.Config{MinVersion: tls.VersionTLS13}
	if err := l.Use(secure, 9*time.Second); err != nil {
		t.Fatal(err)
	}
	_, after := connect(t, l)
	for what, c := range map[string]struct {
		client *Client
		secure bool
		limit  time.Duration
	}{"before": {before, false, 7 * time.Second}, "after": {after, true, 9 * time.Second}} {
		_, isTLS := c.client.Conn.(*tls.Conn)
		if isTLS != c.secure || c.client.writeTimeout != c.limit || option(t, c.client.tcp, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) != int(c.limit.Milliseconds()) {
			t.Errorf("%s: TLS %v, write timeout %v", what, isTLS, c.client.writeTimeout)
		}
		if n := option(t, c.client.tcp, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); n != maxUnsent {
			t.Errorf("%s: %d bytes may be unsent", what, n)
		}
	}
}

func TestDelayAcks(t *testing.T) {
	c, _ := connected(t)
	quick := func() int { return option(t, c.Conn.(*net.TCPConn), unix.IPPROTO_TCP, unix.TCP_QUICKACK) }
	before := quick()
	c.DelayAcks()
	if before != 1 || quick() != 0 {
		t.Errorf("quick acknowledgements: %d, %d after DelayAcks", before, quick())
	}
}
