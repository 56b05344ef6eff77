package loop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; none is expected to take that long.
const patience = 10 * time.Second

// overEach runs a test over each engine that has loops, if the kernel allows it.
func overEach(t *testing.T, test func(t *testing.T, engine string)) {
	for _, engine := range []string{EngineEpoll, EngineUring} {
		t.Run(engine, func(t *testing.T) {
			ls, err := New(engine, 1)
			if err != nil {
				t.Skip(err)
			}
			ls.Close()
			test(t, engine)
		})
	}
}

// running are n loops that run until the test ends.
func running(t testing.TB, engine string, n int) *Loops {
	t.Helper()
	loops, err := New(engine, n)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- loops.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return loops
}

func listen(t testing.TB, loops *Loops) (net.Listener, *Acceptor) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := loops.NewAcceptor(l.(*net.TCPListener))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); l.Close() })
	return l, a
}

func dial(t testing.TB, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// connected returns both ends of a connection, one of them on one of n loops.
func connected(t testing.TB, engine string, n int) (*net.TCPConn, *Socket) {
	t.Helper()
	l, a := listen(t, running(t, engine, n))
	return accepted(t, l, a)
}

func accepted(t testing.TB, l net.Listener, a *Acceptor) (*net.TCPConn, *Socket) {
	t.Helper()
	peer := dial(t, l)
	next, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s, err := next.Socket(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return peer, s
}

// onSameLoop returns both ends of another connection on the loop of s.
func onSameLoop(t testing.TB, s *Socket) (*net.TCPConn, *Socket) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conn := dial(t, l)
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Join(conn, raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return peer.(*net.TCPConn), other
}

// idle is another socket on the loop of s, without a driver.
func idle(t testing.TB, s *Socket) *Socket {
	t.Helper()
	_, other := onSameLoop(t, s)
	return other
}

func TestReadAndWrite(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 256<<10) // more than the kernel takes at once
		go s.Write(sent)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("the peer's bytes differ (%v)", err)
		}
		go func() { peer.Write(sent); peer.CloseWrite() }()
		if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("the bytes differ (%v)", err)
		}
	})
}

func TestWriteParts(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		part := bytes.Repeat([]byte("0123456789abcdef"), 256<<10)
		go s.WriteParts(net.Buffers{part[:10], nil, part, part})
		want := append(append(bytes.Clone(part[:10]), part...), part...)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the bytes differ (%v)", err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		_, s := connected(t, engine, 1)
		buf := make([]byte, 16)
		s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := s.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		s.SetReadDeadline(time.Now().Add(patience))
		go s.SetReadDeadline(time.Unix(1, 0)) // while it waits
		if _, err := s.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read, with another deadline: %v", err)
		}
		s.SetDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := s.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	})
}

func TestCloseEndsWaits(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		_, s := connected(t, engine, 1)
		failed := make(chan error, 2)
		go func() { _, err := s.Read(make([]byte, 1)); failed <- err }()
		go func() { _, err := s.Write(make([]byte, 64<<20)); failed <- err }()
		time.AfterFunc(50*time.Millisecond, func() { s.Close() })
		for range 2 {
			if err := wait(t, failed); !errors.Is(err, net.ErrClosed) {
				t.Errorf("failed with %v", err)
			}
		}
		if err := s.Close(); err != net.ErrClosed {
			t.Errorf("closed again: %v", err)
		}
		if err := s.SetReadDeadline(time.Time{}); err != net.ErrClosed {
			t.Errorf("deadline of a closed connection: %v", err)
		}
	})
}

func TestCloseWriteAndLinger(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		s.Write([]byte("x"))
		s.CloseWrite()
		if got, err := io.ReadAll(peer); string(got) != "x" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		s.SetLinger(0)
		s.Close()
		for {
			if _, err := peer.Write([]byte("x")); err != nil {
				break // the reset has arrived
			}
		}
	})
}

// The descriptor of a closed connection may belong to another one at once: neither gets what is meant for the other.
func TestDescriptorsAreReused(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		l, a := listen(t, running(t, engine, 1))
		for n := range 200 {
			peer, s := accepted(t, l, a)
			r := drive(s, time.Time{})
			peer.Write([]byte{byte(n)})
			if n%2 == 0 {
				s.Close()
				wait(t, r.ended)
				continue
			}
			if got := wait(t, r.received); got[0] != byte(n) {
				t.Fatalf("received %d, want %d", got[0], n)
			}
			s.Close()
		}
	})
}

func TestAcceptedForGo(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		l, a := listen(t, running(t, engine, 1))
		peer := dial(t, l)
		next, err := a.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c, err := next.Conn()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		peer.Write([]byte("x"))
		var b [1]byte
		if _, err := c.Read(b[:]); err != nil || b[0] != 'x' {
			t.Errorf("%q, %v", b, err)
		}
		if c.RemoteAddr().String() != peer.LocalAddr().String() {
			t.Errorf("the client is %v, want %v", c.RemoteAddr(), peer.LocalAddr())
		}
	})
}

func TestAcceptEnds(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		_, a := listen(t, running(t, engine, 1))
		time.AfterFunc(20*time.Millisecond, a.Close)
		if _, err := a.Accept(); err != net.ErrClosed {
			t.Errorf("Accept: %v", err)
		}
	})
}
