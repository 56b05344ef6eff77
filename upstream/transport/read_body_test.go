package transport

import (
	"errors"
	"testing"
	"time"
)

func TestReadBody(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		cut          bool
		max          int
		want         string
		err          bool
		kept         bool
	}{
		{"length", okAnswer, false, 10, "ok", false, true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, 10, "ok", false, true},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nok", true, 10, "ok", false, false},
		{"empty", "HTTP/1.1 204 No Content\r\n\r\n", false, 10, "", false, true},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", true, 10, "", true, false},
		{"cut chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true, 10, "", true, false},
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
			a, err := conn.Receive(make([]byte, 1024), patience, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := conn.ReadBody(&a, c.max, patience)
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
