package loop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// numbers are what the peer of TestHandOver sends, 8 bytes each.
const numbers = 100_000

// A connection goes from its driver to a goroutine and back while its peer sends, and it sends meanwhile: nothing is lost, doubled or reordered.
func TestHandOver(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		go sendNumbers(peer)
		echoed := make(chan error, 1)
		go func() { echoed <- expectNumbers(peer) }()
		d := &alternating{s: s, released: make(chan []byte, 1)}
		for turn := 0; d.seen < 8*numbers; turn++ {
			d.left = turn % 5
			s.Drive(d, time.Time{}, false)
			rest, ok := <-d.released
			if !ok {
				break
			}
			if rest != nil {
				if _, err := s.Write(rest); err != nil {
					t.Fatal(err)
				}
			}
			for range turn % 3 {
				d.byHand(t)
			}
		}
		if err := <-echoed; err != nil {
			t.Error(err)
		}
	})
}

func sendNumbers(peer net.Conn) {
	buf := make([]byte, 0, 1<<10)
	for i := range uint64(numbers) {
		if buf = binary.BigEndian.AppendUint64(buf, i); len(buf) > 900 || i == numbers-1 {
			if _, err := peer.Write(buf); err != nil {
				return
			}
			buf = buf[:0]
		}
	}
}

func expectNumbers(peer net.Conn) error {
	buf := make([]byte, 8)
	_ = peer.SetDeadline(time.Now().Add(4 * patience))
	for i := range uint64(numbers) {
		if _, err := io.ReadFull(peer, buf); err != nil {
			return err
		}
		if got := binary.BigEndian.Uint64(buf); got != i {
			return fmt.Errorf("got %d, want %d", got, i)
		}
	}
	return nil
}

// alternating is a driver that sends back what it gets, and gives the connection back after some reads.
type alternating struct {
	s        *Socket
	seen     int // bytes
	left     int // reads until it gives the connection back
	released chan []byte
}

func (a *alternating) Received(_ time.Time, p []byte) {
	a.seen += len(p)
	a.s.Push(p)
	if a.left--; a.left <= 0 || a.seen == 8*numbers {
		a.released <- a.s.Release()
	}
}

func (a *alternating) Ended(time.Time, error) { a.s.Release(); close(a.released) }

func (a *alternating) Drained(time.Time) { a.s.Resume() }

func (a *alternating) Refused(time.Time, error) { a.s.Hold() }

// byHand does on a goroutine what the driver does.
func (a *alternating) byHand(t *testing.T) {
	var buf [700]byte
	a.s.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // the driver may have seen all
	n, err := a.s.Read(buf[:])
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	a.seen += n
	if _, err := a.s.Write(buf[:n]); err != nil {
		t.Fatal(err)
	}
}
