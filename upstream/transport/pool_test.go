package transport

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"tether/failure"
)

func TestPoolOrderAndAge(t *testing.T) {
	const old = 4 * time.Second // vLLM's server closes idle connections after 5
	s := newServer(t)
	var conns []*Conn
	var peers []*net.TCPConn
	now := time.Now()
	for range 4 {
		c, p := s.dial()
		conns, peers = append(conns, c), append(peers, p)
	}
	p := &s.pool
	for i, c := range conns {
		p.put(c, now.Add(time.Duration(i)*time.Second))
	}
	// Four seconds after the first was put back it is reaped, and no other.
	p.Reap(now.Add(old))
	if len(p.idle) != 3 {
		t.Fatalf("%d idle after the first reap", len(p.idle))
	}
	if _, err := peers[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the reaped connection's server saw %v", err)
	}
	if got := p.TakeIdle(now.Add(old), Taker{}); got != conns[3] {
		t.Error("not the newest")
	}
	// A connection that the server closed is passed over.
	peers[2].Close()
	for deadline := time.Now().Add(patience); !conns[2].Stale(false); {
		if time.Now().After(deadline) {
			t.Fatal("never stale")
		}
	}
	if got := p.TakeIdle(now.Add(old), Taker{}); got != conns[1] {
		t.Error("a closed connection was taken")
	}
	if _, err := conns[2].Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a connection that was passed over is open: %v", err)
	}
	if got := p.TakeIdle(now.Add(old), Taker{}); got != nil {
		t.Error("more connections than there were")
	}
	// A connection that is too old is not used even before it is reaped.
	p.put(conns[1], now)
	if got := p.TakeIdle(now.Add(old), Taker{}); got != nil {
		t.Error("a connection that is too old was taken")
	}
	if _, err := peers[1].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("its server saw %v", err)
	}
	// A retired pool keeps nothing.
	c, peer := s.dial()
	p.put(conns[3], now)
	p.Retire()
	p.put(c, now)
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a retired pool's server saw %v", err)
	}
	if len(p.idle) != 0 {
		t.Error("a retired pool keeps connections")
	}
}

func TestDialFailures(t *testing.T) {
	s := newServer(t)
	s.l.Close()
	if _, err := s.pool.Dial(t.Context(), s.address, nil, patience); err != failure.Refused {
		t.Errorf("got %v, want Refused", err)
	}
	s.address.Dial = "host.invalid:80"
	if _, err := s.pool.Dial(t.Context(), s.address, nil, patience); err != failure.Unreachable {
		t.Errorf("got %v, want Unreachable", err)
	}
}

func BenchmarkPool(b *testing.B) {
	s := newServer(b)
	c, _ := s.dial()
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s.pool.put(c, now)
		if s.pool.TakeIdle(now, Taker{}) == nil {
			b.Fatal("gone")
		}
	}
}

// Cut closes the connections in use, the idle ones, and those that are opened later.
func TestCut(t *testing.T) {
	s := newServer(t)
	idle, p0 := s.dial()
	used, p1 := s.dial()
	closed, _ := s.dial()
	idle.Keep(&Answer{}, time.Now())
	closed.Close()
	if n := s.pool.Cut(); n != 1 {
		t.Errorf("cut %d connections, want the one in use", n)
	}
	for i, p := range []*net.TCPConn{p0, p1} {
		if _, err := p.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the server saw %v on connection %d", err, i)
		}
	}
	if _, err := used.Receive(make([]byte, 100), patience, nil); err == nil {
		t.Error("an answer on a connection that was cut")
	}
	used.Close()
	if c, err := s.pool.Dial(t.Context(), s.address, nil, patience); err != failure.Refused {
		t.Errorf("%v, %v after Cut, want a refusal", c, err)
	}
	if len(s.pool.open) > 0 || len(s.pool.idle) > 0 {
		t.Errorf("%d connections are still held", len(s.pool.open))
	}
}
