package loop

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// A server sends the last part of an answer and ends the connection, before the loop looks again or while it handles the part before: the driver
// hears of the end.
func TestEndBehindLastPart(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		_, first := connected(t, engine, 1)
		for _, want := range []error{io.EOF, syscall.ECONNRESET} {
			for handled := range 3 { // io_uring receives again and again after the first part
				peer, s := onSameLoop(t, first)
				d := &lastPart{recorder: newRecorder(s)}
				s.Drive(d, time.Time{}, false)
				for range handled {
					peer.Write([]byte("part"))
					wait(t, d.received)
				}
				onLoop(t, idle(t, first), func(time.Time) { endAfterPart(peer, want) })
				if err := wait(t, d.ended); !errors.Is(err, want) {
					t.Errorf("%d parts handled: ended with %v, want %v", handled, err, want)
				}
			}
			peer, s := onSameLoop(t, first)
			d := &lastPart{newRecorder(s), func() { endAfterPart(peer, want) }}
			s.Drive(d, time.Time{}, false)
			peer.Write([]byte("part"))
			if err := wait(t, d.ended); !errors.Is(err, want) {
				t.Errorf("while a part is handled: ended with %v, want %v", err, want)
			}
		}
	})
}

// endAfterPart sends a part and ends the connection, with a reset if the peer is to see ECONNRESET.
func endAfterPart(c *net.TCPConn, how error) {
	c.Write([]byte("last part"))
	if how == syscall.ECONNRESET {
		c.SetLinger(0)
	}
	c.Close()
}

// lastPart is a recorder that runs then on the loop, while it has the first part.
type lastPart struct {
	*recorder
	then func()
}

func (l *lastPart) Received(now time.Time, p []byte) {
	l.recorder.Received(now, p)
	if l.then != nil {
		l.then()
		l.then = nil
	}
}
