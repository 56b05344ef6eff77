package transport

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; none is expected to take that long.
const patience = 10 * time.Second

// server is a listener whose connections the test plays by hand, and the pool of connections to it.
type server struct {
	t       testing.TB
	l       net.Listener
	address Address
	pool    Pool
}

func newServer(t testing.TB) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, l: l, address: Address{Network: "tcp", Dial: l.Addr().String(), Host: "a"}}
	t.Cleanup(func() { l.Close(); s.pool.Retire() })
	return s
}

// dial returns both ends of a connection.
func (s *server) dial() (*Conn, *net.TCPConn) {
	s.t.Helper()
	c, err := s.pool.Dial(s.t.Context(), s.address, nil, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	peer, err := s.l.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	_ = peer.SetDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { c.Close(); peer.Close() })
	return c, peer.(*net.TCPConn)
}
