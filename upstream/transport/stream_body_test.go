package transport

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// StreamBody hands out the body that ReadBody returns, through a buffer smaller than the body.
func TestStreamBody(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	for _, c := range []struct {
		name, answer string
		cut          bool
		max          int
		want         string
		err          bool
		kept         bool
	}{
		{"length", okAnswer, false, 2, "ok", false, true},
		{"long", "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + long, false, 10000, long, false, true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n" + long + "\r\n2\r\nok\r\n0\r\n\r\n", false, 20000, long + "ok", false, true},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nok", true, 10, "ok", false, false},
		{"empty", "HTTP/1.1 204 No Content\r\n\r\n", false, 10, "", false, true},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", true, 10, "ok", true, false},
		{"malformed chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx", false, 10, "", true, false},
		{"too large", okAnswer, false, 1, "", true, false},
		{"bytes after it", okAnswer + "HTTP", false, 10, "ok", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			conn, peer := s.dial()
			conn.Send([]byte("x"), Body{}, time.Now())
			peer.Write([]byte(c.answer))
			if c.cut {
				peer.CloseWrite()
			}
			buf := make([]byte, 200)
			a, err := conn.Receive(buf, patience, nil)
			if err != nil {
				t.Fatal(err)
			}
			var body []byte
			err = conn.StreamBody(&a, buf, c.max, patience, func(piece []byte) { body = append(body, piece...) })
			if (err != nil) != c.err || string(body) != c.want {
				t.Fatalf("%q, %v", body, err)
			}
			if c.name == "too large" && !errors.Is(err, ErrBodyTooLarge) {
				t.Error(err)
			}
			if err == nil && a.Close == c.kept {
				t.Errorf("may be kept: %v, want %v", !a.Close, c.kept)
			}
		})
	}
}

func TestStreamBodyIsLimitedInTime(t *testing.T) {
	s := newServer(t)
	conn, peer := s.dial()
	conn.Send([]byte("x"), Body{}, time.Now())
	peer.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"))
	buf := make([]byte, 200)
	a, err := conn.Receive(buf, patience, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.StreamBody(&a, buf, 10, 20*time.Millisecond, func([]byte) {}); err == nil {
		t.Error("an answer that does not end has been read")
	}
}
