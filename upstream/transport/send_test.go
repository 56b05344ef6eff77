package transport

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// The answer of a server that answers before it has read the whole request is received, and ends the sending.
func TestAnswerBeforeTheBodyWasSent(t *testing.T) {
	s := newServer(t)
	c, peer := s.dial()
	body := make([]byte, 64<<20)
	c.Send([]byte("POST / HTTP/1.1\r\n\r\n"), Body{body}, time.Now())
	peer.Write([]byte(okAnswer))
	a, err := c.Receive(make([]byte, 1024), patience, nil)
	if err != nil || a.Status != 200 {
		t.Fatalf("%+v, %v", a, err)
	}
	if c.Sent() {
		t.Skip("the kernel took 64 MiB")
	}
	if c.SentWithin(time.Millisecond) {
		t.Error("sent, though the server has not read it")
	}
	if !c.AnsweredWithin(0, time.Now()) {
		t.Error("answered late, though the request is not sent")
	}
	c.Keep(&a, time.Now())
	if c.sending != nil {
		t.Error("still sending")
	}
	if s.pool.TakeIdle(time.Now(), Taker{}) != nil {
		t.Error("a connection with half a request on it was kept")
	}
}

// A connection on which a request could not be written to its end is not used again, though the request was answered.
func TestConnectionOfHalfARequestIsNotKept(t *testing.T) {
	s := newServer(t)
	for _, body := range []int{0, sendInline + 1} {
		c, peer := s.dial()
		if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		c.Send([]byte("GET / HTTP/1.1\r\n\r\n"), Body{make([]byte, body)}, time.Now())
		peer.Write([]byte(okAnswer))
		a, err := c.Receive(make([]byte, 1024), patience, nil)
		if err != nil || !c.SentWithin(patience) {
			t.Fatalf("%+v, %v", a, err)
		}
		c.Keep(&a, time.Now())
		if s.pool.TakeIdle(time.Now(), Taker{}) != nil {
			t.Errorf("%d bytes of body: kept", body)
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%d bytes of body: the server saw %v", body, err)
		}
	}
}

// The same of a request that a loop could not send.
func TestConnectionOfAFailedRequestIsNotKept(t *testing.T) {
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("GET / HTTP/1.1\r\n\r\n"), Body{}, time.Now())
	SendFailed(c, io.ErrClosedPipe)
	peer.Write([]byte(okAnswer))
	a, err := c.Receive(make([]byte, 1024), patience, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Keep(&a, time.Now())
	if s.pool.TakeIdle(time.Now(), Taker{}) != nil {
		t.Error("kept")
	}
}

func TestLargeBodyArrivesWhole(t *testing.T) {
	s := newServer(t)
	for _, size := range []int{1, 3000, 5000, sendInline, sendInline + 1, 8 << 20} {
		c, peer := s.dial()
		head, body := append(make([]byte, 0, 4096), "head "...), bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		c.Send(head, Body{body}, time.Now())
		got := make([]byte, 5+size)
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got[5:], body) || string(got[:5]) != "head " {
			t.Fatalf("%d bytes: %v", size, err)
		}
		peer.Write([]byte(okAnswer))
		a, err := c.Receive(make([]byte, 1024), patience, nil)
		if err != nil {
			t.Fatal(err)
		}
		for !c.Sent() {
		}
		c.Keep(&a, time.Now())
		if s.pool.TakeIdle(time.Now(), Taker{}) != c {
			t.Fatalf("%d bytes: not kept", size)
		}
	}
}

// How late an answer is counts from the end of the request, however long that took.
func TestAnsweredWithin(t *testing.T) {
	const slow = 20 * time.Millisecond
	s := newServer(t)
	for _, size := range []int{0, 16 << 20} {
		c, peer := s.dial()
		began := time.Now()
		c.Send([]byte("POST / HTTP/1.1\r\n\r\n"), Body{make([]byte, size)}, began)
		if size > 0 {
			<-time.After(slow) // the server reads late; the kernel does not take all of the body
			if c.Sent() {
				t.Skip("the kernel took the whole body")
			}
		}
		if _, err := io.CopyN(io.Discard, peer, int64(size)+1); err != nil || !c.SentWithin(patience) {
			t.Fatal(err)
		}
		end := began
		if size > 0 {
			end = c.written
			if end.Sub(began) < slow {
				t.Errorf("written after %v", end.Sub(began))
			}
		}
		if !c.AnsweredWithin(time.Second, end.Add(time.Second)) || c.AnsweredWithin(time.Second, end.Add(time.Second+1)) {
			t.Errorf("%d bytes: the limit is not a second after the end", size)
		}
		c.Close()
	}
}
