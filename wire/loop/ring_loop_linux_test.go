package loop

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// onRing returns both ends of a connection, one of them on a loop over io_uring.
func onRing(t *testing.T) (*net.TCPConn, *Socket, *ringDriven) {
	t.Helper()
	if ls, err := New(EngineUring, 1); err != nil {
		t.Skip(err)
	} else {
		ls.Close()
	}
	peer, s := connected(t, EngineUring, 1)
	return peer, s, s.side.(*ringDriven)
}

// A peer that sends and does not read makes the loop hold a bounded number of bytes.
func TestSlowPeerHoldsLittle(t *testing.T) {
	peer, s, side := onRing(t)
	s.Drive(&echo{s: s}, time.Time{}, false)
	part := make([]byte, 64<<10)
	for sent := 0; ; {
		peer.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := peer.Write(part)
		if sent += n; err != nil {
			break // nothing is taken any more
		}
		if sent > 64<<20 {
			t.Fatal("all is taken for a peer that does not read")
		}
	}
	onLoop(t, idle(t, s), func(time.Time) {
		side.mu.Lock()
		defer side.mu.Unlock()
		if held := len(side.out) + len(side.flying) + len(side.inbox); held > maxQueued+2*readSize || side.running.has(userReceive) || side.running.has(userEach) {
			t.Errorf("%d bytes held, operations %b", held, side.running)
		}
	})
}

// Bytes that arrive on an idle connection make it unfit, although the kernel has none any more.
func TestUnread(t *testing.T) {
	peer, s := func() (*net.TCPConn, *Socket) { _, s, _ := onRing(t); return onSameLoop(t, s) }()
	if s.Unread() {
		t.Error("unread before anything was sent")
	}
	peer.Write([]byte("unasked"))
	for deadline := time.Now().Add(patience); !s.Unread() || !s.Noisy(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is unread")
		}
	}
	var b [3]byte
	if n, err := s.Read(b[:]); err != nil || string(b[:n]) != "una" || !s.Unread() {
		t.Errorf("%q, %v, unread %v", b[:n], err, s.Unread())
	}
	if rest, err := readFor(s, 4); err != nil || rest != "sked" || s.Unread() {
		t.Errorf("%q, %v, unread %v", rest, err, s.Unread())
	}
}

// Once a goroutine has read, the ring does not receive, so whoever takes the idle connection must ask the kernel.
func TestNoisyAfterRead(t *testing.T) {
	peer, s, _ := onRing(t)
	peer.Write([]byte("answer"))
	if _, err := readFor(s, len("answer")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !s.Noisy() {
			t.Fatal("the loop says that it knows of the connection")
		}
		peer.Write([]byte("more"))
		if _, err := readFor(s, len("more")); err != nil {
			t.Fatal(err)
		}
	}
}

// A server sends more than one part after short ones, and its driver gives the connection up with the first: it is not idle, although the rest
// has not been handled, and a goroutine gets the rest.
func TestUnreadPartsOfABatch(t *testing.T) {
	for range 20 {
		_, first, _ := onRing(t)
		peer, s := onSameLoop(t, first)
		d := &leaving{s: s, seen: make(chan int, 10), unfit: make(chan bool, 1)}
		s.Drive(d, time.Time{}, false)
		peer.Write([]byte("short"))
		wait(t, d.seen)
		onLoop(t, idle(t, first), func(time.Time) { // so that all of it is there at the next wait
			d.leaves = true
			peer.Write(make([]byte, shortSize+100))
		})
		n := wait(t, d.seen)
		if !wait(t, d.unfit) {
			t.Fatalf("the connection seems idle after %d bytes", n)
		}
		rest := make([]byte, shortSize+100-n)
		s.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(s, rest); err != nil {
			t.Fatal(err)
		}
		if s.Unread() {
			t.Error("unread after all was read")
		}
	}
}

// leaving is a driver that gives the connection up with what it receives next.
type leaving struct {
	ignoring
	s      *Socket
	leaves bool
	seen   chan int
	unfit  chan bool
}

func (l *leaving) Received(_ time.Time, p []byte) {
	if l.leaves {
		l.s.Release()
		l.unfit <- l.s.Noisy() && l.s.Unread()
	}
	l.seen <- len(p)
}

func readFor(s *Socket, n int) (string, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(s, b)
	return string(b), err
}

// A peer that reads until the end sees no end before a reset, though operations are under way.
func TestResetUnderWay(t *testing.T) {
	for range 50 {
		peer, s, _ := onRing(t)
		drive(s, time.Time{})
		s.SetLinger(0)
		s.Close()
		if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("the peer sees %v", err)
		}
	}
}

// A loop that ends leaves no operation: the descriptors of closed sockets are closed, and others can be closed.
func TestEndOfRing(t *testing.T) {
	if ls, err := New(EngineUring, 1); err != nil {
		t.Skip(err)
	} else {
		ls.Close()
	}
	loops, err := New(EngineUring, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- loops.Run(ctx) }()
	l, a := listen(t, loops)
	var peers []*net.TCPConn
	var all []*Socket
	for n := range 20 {
		peer, s := accepted(t, l, a)
		peers, all = append(peers, peer), append(all, s)
		if n%2 == 0 {
			drive(s, time.Time{})
		}
	}
	for _, s := range all[:10] {
		s.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, s := range all[10:] {
		s.Close()
	}
	for _, peer := range peers {
		peer.SetReadDeadline(time.Now().Add(patience))
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer sees %v", err)
		}
	}
	if _, err := loops.all[0].adopt(-1, nil, nil, nil); err != net.ErrClosed {
		t.Errorf("a loop that has ended takes a socket: %v", err)
	}
}
