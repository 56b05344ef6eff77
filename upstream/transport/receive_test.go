package transport

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/failure"
	"tether/http1"
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
			p.Write([]byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim+1) + okAnswer))
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
			if _, err := conn.Receive(make([]byte, 1024), limit, nil); err != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// Interim answers are shown, other than 100, which is for the sender alone.
func TestInterimAnswersAreShown(t *testing.T) {
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("x"), Body{}, time.Now())
	peer.Write([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + okAnswer))
	var shown []string
	a, err := c.Receive(make([]byte, 1024), patience, func(h *http1.Head) { shown = append(shown, string(h.StatusLine)+string(h.Lines)) })
	if err != nil || a.Status != 200 || string(a.Rest) != "ok" || !slices.Equal(shown, []string{"HTTP/1.1 103 Early Hints\r\nLink: a\r\n"}) {
		t.Errorf("%+v, %v, after %q", a, err, shown)
	}
}

// Interim answers are bounded in number and in size.
func TestInterimAnswers(t *testing.T) {
	const hint = "HTTP/1.1 103 Early Hints\r\n\r\n"
	large := strings.Replace(hint, "\r\n\r\n", "\r\nLink: "+strings.Repeat("a", 1000-len(hint)-len("\r\nLink: "))+"\r\n\r\n", 1)
	for _, c := range []struct {
		hint string
		n    int
		want error
	}{
		{hint, 0, nil},
		{hint, maxInterim, nil},
		{hint, maxInterim + 1, failure.BadHead},
		{large, maxInterimBytes / len(large), nil},
		{large, maxInterimBytes/len(large) + 1, failure.BadHead},
	} {
		s := newServer(t)
		conn, peer := s.dial()
		conn.Send([]byte("x"), Body{}, time.Now())
		_, _ = peer.Write([]byte(strings.Repeat(c.hint, c.n) + okAnswer))
		if a, err := conn.Receive(make([]byte, 1024), patience, nil); err != c.want {
			t.Errorf("after %d of %d bytes: %d %v, want %v", c.n, len(c.hint), a.Status, err, c.want)
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
		a, err := c.ReceiveSwitch(make([]byte, 1024), patience, nil)
		if err != nil || a.Status != 101 || string(a.Rest) != follows {
			t.Errorf("%+v, %v", a, err)
		}
	}
	s := newServer(t)
	c, peer := s.dial()
	c.Send([]byte("x"), Body{}, time.Now())
	peer.Write([]byte(okAnswer))
	if a, err := c.ReceiveSwitch(make([]byte, 1024), patience, nil); err != nil || a.Status != 200 || string(a.Rest) != "ok" {
		t.Errorf("not switched: %+v, %v", a, err)
	}
}
