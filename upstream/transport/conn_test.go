package transport

import (
	"io"
	"testing"
	"time"
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
	a, err := c.Receive(make([]byte, 1024), patience)
	if err != nil || a.Status != 200 || string(a.Rest) != "ok" {
		t.Fatalf("%+v, %v", a, err)
	}
	if c.reused {
		t.Error("a fresh connection counts as used")
	}
	c.Keep(&a, time.Now())
	again := s.pool.TakeIdle(time.Now())
	if again != c || !again.reused {
		t.Error("the connection was not kept for the next request")
	}
}
