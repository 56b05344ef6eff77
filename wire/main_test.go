package wire

import (
	"context"
	"flag"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // parallel tests wait for limits more than they need processors
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of these tests; none is expected to take that long.
const patience = 10 * time.Second

// listen opens a loopback listener with a running watch, both ended with the test.
func listen(t testing.TB, cfg ListenConfig) *Listener {
	t.Helper()
	watch, err := NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- watch.Run(ctx) }()
	l, err := Listen("127.0.0.1:0", cfg, watch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

// connect returns both ends of a connection to l.
func connect(t testing.TB, l *Listener) (peer *net.TCPConn, c *Client) {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); c.Close() })
	return conn.(*net.TCPConn), c
}

// signal is an Aborter that closes a channel; a second Abort panics.
type signal chan struct{}

func (s signal) Abort() { close(s) }

func (s signal) wait(t testing.TB) {
	t.Helper()
	select {
	case <-s:
	case <-time.After(patience):
		t.Fatal("no abort")
	}
}
