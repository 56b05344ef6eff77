package upstream

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"tether/upstream/transport"
)

func spec(name, dial string) Spec {
	return Spec{Name: name, Address: transport.Address{Network: "tcp", Dial: dial}, Weight: 100}
}

func mustApply(t *testing.T, r *Registry, specs ...Spec) []Ref {
	t.Helper()
	gone, err := r.Apply(specs)
	if err != nil {
		t.Fatal(err)
	}
	return gone
}

func TestApplyKeepsWhoStays(t *testing.T) {
	r := NewRegistry(nil)
	mustApply(t, r, spec("a", "1"), spec("b", "2"), spec("c", "3"))
	before := r.Table()
	a, b := before.Named("a").Upstream, before.Named("b").Upstream
	a.SetHealth(Up, "test")
	// b gets another address, c goes, d comes, and a only another place.
	gone := mustApply(t, r, spec("d", "4"), spec("b", "9"), Spec{Name: "a", Address: a.Address(), Weight: 50, Slot: 7})
	after := r.Table()
	if m := after.Named("a"); m.Upstream != a || m.State().Health() != Up || m.Weight != 50 || m.Slot != 7 {
		t.Errorf("a is %+v", m)
	}
	if after.Named("b").Upstream == b {
		t.Error("another address is the same server")
	}
	if fmt.Sprint(gone) != fmt.Sprint([]Ref{b.Ref(), before.Named("c").Ref()}) {
		t.Errorf("gone %v", gone)
	}
	if after.Named("c") != nil || after.Resolve(b.Ref()) != nil {
		t.Error("who is gone is found")
	}
	if after.Resolve(a.Ref()) != a || after.Resolve(after.Named("b").Ref()) != after.Named("b").Upstream {
		t.Error("who is there is not found")
	}
	if after.Resolve(0) != nil {
		t.Error("0 is somebody")
	}
}

// However often servers come and go, no two incarnations share a Ref, and seats stay few.
func TestRefsAreNeverGivenAgain(t *testing.T) {
	r := NewRegistry(nil)
	seen := map[Ref]bool{}
	for n := range 1000 {
		mustApply(t, r, spec("a", fmt.Sprint(n)), spec("b", "b"), spec("c", fmt.Sprint(-n)))
		for _, m := range r.Table().Members {
			if m.name == "b" && n > 0 {
				continue
			}
			if seen[m.ref] || m.ref == 0 {
				t.Fatalf("round %d: %s has the ref %x", n, m.name, m.ref)
			}
			seen[m.ref] = true
			if m.ref.Seat() > 5 {
				t.Fatalf("seat %d for three upstreams", m.ref.Seat())
			}
		}
	}
	if next := Ref(1<<32 - MaxUpstreams).successor(); next.Seat() != 0 || next == 0 {
		t.Errorf("the last generation is followed by %x", next)
	}
}

func TestTooManyUpstreams(t *testing.T) {
	r := NewRegistry(nil)
	if _, err := r.Apply(make([]Spec, MaxUpstreams+1)); err == nil {
		t.Error("no error")
	}
}

// Connections of a server that is gone are closed, those that come back later too.
func TestApplyClosesConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := NewRegistry(nil)
	mustApply(t, r, spec("a", l.Addr().String()))
	u := r.Table().Members[0].Upstream
	var conns []*transport.Conn
	for range 2 {
		c, err := u.Dial(t.Context(), patience)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	conns[0].Keep(&transport.Answer{}, time.Now())
	mustApply(t, r)
	conns[1].Keep(&transport.Answer{}, time.Now())
	for range 2 {
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		peer.SetReadDeadline(time.Now().Add(patience))
		if _, err := peer.Read(make([]byte, 1)); err == nil {
			t.Error("bytes from nowhere")
		} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Error("a connection of a removed server stays open")
		}
		peer.Close()
	}
}

func TestDrainOfTheConfiguration(t *testing.T) {
	r := NewRegistry(nil)
	s := spec("a", "1")
	s.Drain = true
	mustApply(t, r, s)
	u := r.Table().Members[0].Upstream
	u.Undrain()
	if !u.State().Draining() {
		t.Error("an operator undid the configuration's drain")
	}
	u.Drain(true)
	s.Drain = false
	mustApply(t, r, s)
	if !u.State().DrainingHard() {
		t.Error("a change of the configuration undid the operator's drain")
	}
	u.Undrain()
	if u.State().Draining() {
		t.Error("still draining")
	}
}

// maxIdle is longer than a connection may be idle.
const maxIdle = 5 * time.Second

func TestRunClosesWhatIdles(t *testing.T) {
	s := newServer(t)
	r := NewRegistry(nil)
	mustApply(t, r, Spec{Name: "a", Address: s.u.Address()})
	u := r.Table().Members[0].Upstream
	c, err := u.Dial(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := s.l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	c.Keep(&transport.Answer{}, time.Now().Add(-maxIdle))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	peer.SetReadDeadline(time.Now().Add(patience))
	if _, err := peer.Read(make([]byte, 1)); err == nil || err.Error() != "EOF" {
		t.Errorf("the server saw %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	c, err = u.Dial(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	c.Keep(&transport.Answer{}, time.Now())
	if u.TakeIdle(time.Now()) != nil {
		t.Error("connections are kept after the end")
	}
}

// An upstream that is kept has the new options at once, and is the same one.
func TestRequestOptionsFollowTheConfiguration(t *testing.T) {
	r := NewRegistry(nil)
	s := spec("a", "1")
	s.Key = "old"
	mustApply(t, r, s)
	u := r.Table().Members[0].Upstream
	s.RequestOptions = transport.RequestOptions{PreserveHost: true, Key: "new", OverrideKey: true}
	mustApply(t, r, s)
	if r.Table().Members[0].Upstream != u {
		t.Error("another key is another upstream")
	}
	if got := *u.RequestOptions(); got != s.RequestOptions {
		t.Errorf("%+v", got)
	}
}
