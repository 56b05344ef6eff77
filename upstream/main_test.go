package upstream

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tether/upstream/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; none is expected to take it.
const patience = 10 * time.Second

// server is a listener whose connections the test plays by hand.
type server struct {
	t testing.TB
	l net.Listener
	u *Upstream
}

func newServer(t testing.TB) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	registry := NewRegistry(nil)
	if _, err := registry.Apply([]Spec{{Name: "a", Address: transport.Address{Network: "tcp", Dial: l.Addr().String(), Host: "a"}, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, l: l, u: registry.Table().Members[0].Upstream}
	t.Cleanup(func() { l.Close(); s.u.pool.Retire() })
	return s
}
