package transport

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tether/failure"
)

func TestReceiveFailures(t *testing.T) {
	reset := func(p *net.TCPConn) { p.SetLinger(0); p.Close() }
	for _, c := range []struct {
		name   string
		reused bool
		late   bool // the write was more than a second ago
		play   func(*net.TCPConn)
		want   failure.Kind
	}{
		{"closed", false, false, func(p *net.TCPConn) { p.Close() }, failure.Cut},
		{"reset", false, false, reset, failure.Cut},
		{"used and closed", true, false, func(p *net.TCPConn) { p.Close() }, failure.Stale},
		{"used and reset", true, false, reset, failure.Stale},
		{"used and closed late", true, true, func(p *net.TCPConn) { p.Close() }, failure.Cut},
		{"used and cut in the head", true, false, func(p *net.TCPConn) { p.Write([]byte("HTTP/1.1 2")); p.Close() }, failure.Cut},
		{"cut after an interim answer", true, false, func(p *net.TCPConn) { p.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n")); p.Close() }, failure.Cut},
		{"malformed", false, false, func(p *net.TCPConn) { p.Write([]byte("HTTP/1.1 2x0 OK\r\n\r\n")) }, failure.BadHead},
		{"too large", false, false, func(p *net.TCPConn) { p.Write(bytes.Repeat([]byte("x"), 2000)) }, failure.BadHead},
		{"switching protocols", false, false, func(p *net.TCPConn) { p.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n")) }, failure.BadHead},
		{"storm of interim answers", false, false, func(p *net.TCPConn) {
			p.Write([]byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9) + okAnswer))
		}, failure.BadHead},
		{"silent", false, false, func(*net.TCPConn) {}, failure.HeadTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			conn, peer := s.dial()
			conn.reused = c.reused
			conn.Send([]byte("x"), Body{}, time.Now())
			if c.late {
				conn.sentAt = time.Now().Add(-staleWithin)
			}
			io.ReadFull(peer, make([]byte, 1))
			c.play(peer)
			limit := patience
			if c.want == failure.HeadTimeout {
				limit = time.Millisecond
			}
			if _, err := conn.Receive(make([]byte, 1024), limit); err != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestInterimAnswersAreSkipped(t *testing.T) {
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("x"), Body{}, time.Now())
	peer.Write([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + okAnswer))
	a, err := c.Receive(make([]byte, 1024), patience)
	if err != nil || a.Status != 200 || string(a.Rest) != "ok" {
		t.Errorf("%+v, %v", a, err)
	}
}

// Eight interim answers are skipped, no more.
func TestInterimAnswers(t *testing.T) {
	for n, want := range map[int]error{0: nil, maxInterim: nil, maxInterim + 1: failure.BadHead} {
		s := newServer(t)
		c, peer := s.dial()
		c.Send([]byte("x"), Body{}, time.Now())
		_, _ = peer.Write([]byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", n) + okAnswer))
		if a, err := c.Receive(make([]byte, 1024), patience); err != want {
			t.Errorf("after %d: %d %v, want %v", n, a.Status, err, want)
		}
	}
}

// A request for another protocol gets the 101, and the bytes after it untouched.
func TestReceiveSwitch(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
	for _, follows := range []string{"", "\x00HTTP/1.1 200 OK\r\n\r\n"} {
		s := newServer(t)
		c, peer := s.dial()
		c.Send([]byte("x"), Body{}, time.Now())
		peer.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n" + switching + follows))
		a, err := c.ReceiveSwitch(make([]byte, 1024), patience)
		if err != nil || a.Status != 101 || string(a.Rest) != follows {
			t.Errorf("%+v, %v", a, err)
		}
	}
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("x"), Body{}, time.Now())
	peer.Write([]byte(okAnswer))
	if a, err := c.ReceiveSwitch(make([]byte, 1024), patience); err != nil || a.Status != 200 || string(a.Rest) != "ok" {
		t.Errorf("not switched: %+v, %v", a, err)
	}
}
