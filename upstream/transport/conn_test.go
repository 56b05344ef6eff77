package transport

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"tether/wire"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestExchange(t *testing.T) {
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("GET / HTTP/1.1\r\n\r\n"), Body{}, time.Now())
	got := make([]byte, 18)
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != "GET / HTTP/1.1\r\n\r\n" {
		t.Fatalf("the server got %q, %v", got, err)
	}
	peer.Write([]byte(okAnswer))
	a, err := c.Receive(make([]byte, 1024), patience, nil)
	if err != nil || a.Status != 200 || string(a.Rest) != "ok" {
		t.Fatalf("%+v, %v", a, err)
	}
	if c.reused {
		t.Error("a fresh connection counts as used")
	}
	c.Keep(&a, time.Now())
	again := s.pool.TakeIdle(time.Now(), Taker{})
	if again != c || !again.reused {
		t.Error("the connection was not kept for the next request")
	}
}

// stuckWriter is a socket whose writes return only when the test lets them, even after a close: a sender that is not scheduled.
type stuckWriter struct {
	net.Conn
	first   sync.Once
	writing chan struct{} // closed by the first write
	free    chan struct{}
}

func (s *stuckWriter) Write(b []byte) (int, error) {
	s.first.Do(func() { close(s.writing) })
	<-s.free
	return s.Conn.Write(b)
}

// sendStuck begins a request whose sender hangs in a write until free is closed.
func (s *server) sendStuck() (c *Conn, peer *net.TCPConn, free chan struct{}) {
	s.t.Helper()
	c, peer = s.dial()
	stuck := &stuckWriter{Conn: c.Conn.Conn, writing: make(chan struct{}), free: make(chan struct{})}
	c.Conn.Conn = stuck
	c.Send([]byte("POST / HTTP/1.1\r\n\r\n"), Body{make([]byte, sendInline+1)}, time.Now())
	<-stuck.writing
	return c, peer, stuck.free
}

// tapFunc makes a function a wire.Tap.
type tapFunc func(time.Time, []byte) ([]byte, bool)

func (f tapFunc) Take(now time.Time, p []byte) ([]byte, bool) { return f(now, p) }

// A tap may give up the connection while the request is still being sent, and does not wait for the sender. What was sent is
// released when the sender ends, not before.
func TestTakeUnderABlockedSend(t *testing.T) {
	s := newServer(t)
	c, peer, free := s.sendStuck()
	if _, err := peer.Write([]byte(okAnswer)); err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	tap := tapFunc(func(_ time.Time, p []byte) ([]byte, bool) {
		if string(p) != okAnswer {
			t.Errorf("took %q", p)
		}
		c.Discard(func() { close(released) })
		return nil, false
	})
	if end, err := wire.Pump(nil, c.Conn, make([]byte, 1024), patience, tap); end != wire.Finished || err != nil {
		t.Errorf("the pump ended with %v, %v", end, err)
	}
	select {
	case <-released:
		t.Error("released while the sender may still read")
	default:
	}
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF { // before the sender has ended
		t.Errorf("the server saw %v", err)
	}
	close(free)
	select {
	case <-released:
	case <-time.After(patience):
		t.Fatal("never released")
	}
	if _, err := c.Conn.Conn.(*stuckWriter).Conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is not closed: %v", err)
	}
}

// Where nothing is being sent any more, Discard releases at once and closes at once.
func TestDiscardDuringASend(t *testing.T) {
	s := newServer(t)
	for _, body := range []int{0, sendInline + 1} {
		c, peer := s.dial()
		c.Send([]byte("GET / HTTP/1.1\r\n\r\n"), Body{make([]byte, body)}, time.Now())
		if _, err := io.ReadFull(peer, make([]byte, 18+body)); err != nil {
			t.Fatal(err)
		}
		if body > 0 && !c.SentWithin(patience) {
			t.Fatal("not sent")
		}
		released := 0
		c.Discard(func() { released++ })
		if released != 1 {
			t.Errorf("%d bytes of body: released %d times", body, released)
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%d bytes of body: the server saw %v", body, err)
		}
	}
}

// Discard and the end of the sender may meet: release is called once all the same, and the connection is closed.
func TestDiscardMeetsTheEndOfTheSender(t *testing.T) {
	s := newServer(t)
	for range 100 {
		c, peer, free := s.sendStuck()
		go io.Copy(io.Discard, peer)
		released := make(chan struct{}, 2)
		go close(free)
		c.Discard(func() { released <- struct{}{} })
		<-released
		if _, err := c.Conn.Conn.(*stuckWriter).Conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("released, but the connection is not closed: %v", err)
		}
		if len(released) > 0 {
			t.Fatal("released twice")
		}
	}
}

// The bytes of a request that was given up are the caller's again when they are released: no sender reads them any more.
func TestBytesAreTheCallersAfterRelease(t *testing.T) {
	s := newServer(t)
	body := make([]byte, 64<<20)
	c, _ := s.dial()
	c.Send([]byte("POST / HTTP/1.1\r\n\r\n"), Body{body}, time.Now())
	released := make(chan struct{})
	c.Discard(func() { close(released) })
	<-released
	clear(body) // a race where the sender still reads
}
