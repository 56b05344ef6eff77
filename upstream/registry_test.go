package upstream

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"tether/upstream/transport"
)

func TestApplyKeepsServersThatStay(t *testing.T) {
	r := NewRegistry(nil)
	mustApply(t, r, spec("a", "1"), spec("b", "2"), spec("c", "3"))
	before := r.Table()
	a, b := before.Named("a").Upstream, before.Named("b").Upstream
	a.SetHealth(Up, "test")
	// b has another address, c is removed, d is new, and a has only another place in the ring.
	gone := mustApply(t, r, spec("d", "4"), spec("b", "9"), Spec{Name: "a", Address: a.Address(), Weight: 50, Slot: 7})
	after := r.Table()
	if m := after.Named("a"); m.Upstream != a || m.State().Health() != Up || m.Weight != 50 || m.Slot != 7 {
		t.Errorf("a is %+v", m)
	}
	if after.Named("b").Upstream == b {
		t.Error("another address is the same server")
	}
	if fmt.Sprint(gone) != fmt.Sprint([]Ref{b.Ref(), before.Named("c").Ref()}) {
		t.Errorf("removed %v", gone)
	}
	if after.Named("c") != nil || after.Index(b.Ref()) >= 0 {
		t.Error("a removed upstream is found")
	}
	if after.Members[after.Index(a.Ref())].Upstream != a || after.Members[after.Index(after.Named("b").Ref())].Name() != "b" {
		t.Error("a present upstream is not found")
	}
	if after.Index(0) >= 0 {
		t.Error("0 names an upstream")
	}
}

func TestTooManyUpstreams(t *testing.T) {
	r := NewRegistry(nil)
	if _, err := r.Apply(make([]Spec, MaxUpstreams+1)); err == nil {
		t.Error("no error")
	}
}

// Idle connections of a removed server are closed, and so are those that are to be kept later.
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
			t.Error("bytes that were not sent")
		} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Error("a connection of a removed server stays open")
		}
		peer.Close()
	}
}

// maxIdle is longer than a connection may be idle.
const maxIdle = 5 * time.Second

func TestRunClosesIdleConnections(t *testing.T) {
	s := listen(t)
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
	if u.TakeIdle(time.Now(), transport.Taker{}) != nil {
		t.Error("connections are kept after the end")
	}
}

// Ranks are added and removed while the server stays: those that stay are the same, and new ones begin in the server's state.
func TestApplyRanks(t *testing.T) {
	r, before, _ := ranksOf(t, 4)
	before[0].SetHealth(Up, "test")
	before[1].Drain(false)
	server := before[0].Server
	steps := []struct {
		name  string
		specs []Spec
		stay  []string
		gone  int
		words string
	}{
		{"more", []Spec{ranked("a", "1", 6)}, []string{"a@0", "a@1", "a@2", "a@3"}, 0, "up | up, draining | up | up | up | up"},
		{"fewer", []Spec{ranked("a", "1", 2)}, []string{"a@0", "a@1"}, 4, "up | up, draining"},
		{"another beside it", []Spec{ranked("b", "2", 2), ranked("a", "1", 2)}, []string{"a@0", "a@1"}, 0, "unknown | unknown | up | up, draining"},
		{"renamed", []Spec{ranked("c", "2", 2), ranked("a", "1", 2)}, []string{"a@0", "a@1"}, 2, "unknown | unknown | up | up, draining"},
		{"elsewhere", []Spec{ranked("a", "3", 2)}, nil, 4, "unknown | unknown"},
		{"gone", nil, nil, 2, ""},
		{"back", []Spec{ranked("a", "3", 2)}, nil, 0, "unknown | unknown"},
	}
	for _, step := range steps {
		was := map[string]*Upstream{}
		for _, m := range r.Table().Members {
			was[m.Name()] = m.Upstream
		}
		gone := mustApply(t, r, step.specs...)
		var stay []string
		for _, m := range r.Table().Members {
			if was[m.Name()] == m.Upstream {
				stay = append(stay, m.Name())
			}
		}
		if !slices.Equal(stay, step.stay) || len(gone) != step.gone || wordsOf(r.Table().Members) != step.words {
			t.Errorf("%s: %v stay, %d gone, %s", step.name, stay, len(gone), wordsOf(r.Table().Members))
		}
		for _, ref := range gone {
			if r.Table().Index(ref) >= 0 {
				t.Errorf("%s: a removed upstream is found", step.name)
			}
		}
	}
	if r.Table().ServerNamed("a") == server {
		t.Error("a server that returned is the former one")
	}
}

// A server that gets ranks, or loses them, keeps its state. Its upstreams are others, since their caches are.
func TestServersGetRanks(t *testing.T) {
	r := NewRegistry(nil)
	mustApply(t, r, spec("a", "1"))
	whole := r.Table().Members[0].Upstream
	whole.SetHealth(Up, "test")
	whole.Drain(false)
	if gone := mustApply(t, r, ranked("a", "1", 2)); fmt.Sprint(gone) != fmt.Sprint([]Ref{whole.Ref()}) {
		t.Errorf("removed %v", gone)
	}
	if got := wordsOf(r.Table().Members); got != "up, draining | up, draining" || r.Table().ServerNamed("a") != whole.Server {
		t.Error(got)
	}
	r.Table().Members[1].Undrain()
	mustApply(t, r, spec("a", "1"))
	if m := r.Table().Members; len(m) != 1 || m[0].Upstream == whole || m[0].Name() != "a" || m[0].Rank() != NoRank || wordsOf(m) != "up" {
		t.Errorf("%s", wordsOf(m))
	}
}
