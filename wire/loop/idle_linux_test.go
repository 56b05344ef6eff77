package loop

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A request is not sent on a connection on which something has arrived meanwhile. Only the epoll loop can be asked in this way: of
// io_uring, the kernel keeps the order.
func TestRequestOnIdle(t *testing.T) {
	small, large := []byte("request"), bytes.Repeat([]byte("r"), maxDeferred+1)
	for _, c := range []struct {
		name    string
		unasked string
		full    bool // no event can be taken in
		request []byte
	}{
		{"silent", "", false, small},
		{"silent, while there are many events", "", true, small},
		{"silent, large", "", false, large},
		{"bytes", "unasked", false, small},
		{"bytes, while there are many events", "unasked", true, small},
		{"bytes, large", "unasked", false, large},
		{"the end", "FIN", false, small},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, first := connected(t, EngineEpoll, 1)
			peer, s := onSameLoop(t, first)
			onLoop(t, first, func(time.Time) {}) // the events of the connects are over
			r := newRecorder(s)
			onLoop(t, first, func(time.Time) {
				arrive(t, peer, s, c.unasked)
				l := epollSide(s).loop
				if c.full {
					l.late = l.late[:cap(l.late)]
				}
				s.Push(c.request)
				s.Push([]byte("!"))
				s.Drive(r, time.Time{}, true)
				s.Sending() // so that Drained follows
			})
			if c.unasked == "" {
				wait(t, r.drained)
				expectText(t, peer, string(c.request)+"!")
				return
			}
			if err := wait(t, r.ended); err != errUnasked {
				t.Errorf("ended with %v", err)
			}
			s.Close()
			expectText(t, peer, "")
		})
	}
}

// arrive makes text arrive on s, or the end for "FIN".
func arrive(t *testing.T, peer *net.TCPConn, s *Socket, text string) {
	switch text {
	case "":
		return
	case "FIN":
		peer.CloseWrite()
	default:
		peer.Write([]byte(text))
	}
	for fds := []unix.PollFd{{Fd: int32(epollSide(s).fd), Events: unix.POLLIN}}; ; {
		if n, err := unix.Poll(fds, int(patience/time.Millisecond)); err != unix.EINTR {
			if n != 1 {
				t.Errorf("nothing arrives: %v", err)
			}
			return
		}
	}
}

// expectText reads want from peer, or the end if want is empty.
func expectText(t *testing.T, peer *net.TCPConn, want string) {
	t.Helper()
	got := make([]byte, max(1, len(want)))
	if n, err := io.ReadFull(peer, got); n != len(want) || want != "" && err != nil {
		t.Errorf("the peer received %d bytes, %v; want %d", n, err, len(want))
	}
}

// Once the request is sent, whatever arrives is its answer, also before the driver is told.
func TestAnswerOnIdle(t *testing.T) {
	_, first := connected(t, EngineEpoll, 1)
	peer, s := onSameLoop(t, first)
	r := newRecorder(s)
	onLoop(t, first, func(time.Time) {
		s.Push([]byte("request"))
		s.Drive(r, time.Time{}, true)
		epollSide(s).sendPushed()
		expectText(t, peer, "request")
		arrive(t, peer, s, "answer")
	})
	if got := wait(t, r.received); string(got) != "answer" {
		t.Errorf("received %q", got)
	}
}

// findUnasked also receives events of other sockets. The loop handles these events, even if they fill the buffer for events.
func TestLastRoomForEvents(t *testing.T) {
	_, first := connected(t, EngineEpoll, 1)
	peer, s := onSameLoop(t, first)
	otherPeer, other := onSameLoop(t, first)
	toOther, r := drive(other, time.Time{}), newRecorder(s)
	onLoop(t, first, func(time.Time) {
		l := epollSide(s).loop
		for n := 1; n > 0; { // no other event is left
			n, _ = rawEpollWait(l.epoll, make([]unix.EpollEvent, 10), 0)
		}
		arrive(t, otherPeer, other, "hello")
		l.late = l.late[:cap(l.late)-1]
		s.Push([]byte("request"))
		s.Drive(r, time.Time{}, true)
	})
	if got := wait(t, toOther.received); string(got) != "hello" {
		t.Errorf("received %q", got)
	}
	expectText(t, peer, "request")
}
