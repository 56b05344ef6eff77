package upstream

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tether/upstream/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; none is expected to take that long.
const patience = 10 * time.Second

// listening is a server whose connections the test plays by hand.
type listening struct {
	l net.Listener
	u *Upstream
}

func listen(t testing.TB) *listening {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	registry := NewRegistry(nil)
	if _, err := registry.Apply([]Spec{{Name: "a", Address: transport.Address{Network: "tcp", Dial: l.Addr().String(), Host: "a"}, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	s := &listening{l: l, u: registry.Table().Members[0].Upstream}
	t.Cleanup(func() { l.Close(); s.u.pool.Retire() })
	return s
}

func spec(name, dial string) Spec {
	return Spec{Name: name, Address: transport.Address{Network: "tcp", Dial: dial}, Weight: 100}
}

func ranked(name, dial string, ranks int) Spec {
	s := spec(name, dial)
	s.Ranks = ranks
	return s
}

func mustApply(t *testing.T, r *Registry, specs ...Spec) []Ref {
	t.Helper()
	gone, err := r.Apply(specs)
	if err != nil {
		t.Fatal(err)
	}
	return gone
}

// newUpstream makes a server without ranks, and records its changes.
func newUpstream(t *testing.T) (*Upstream, *[]string) {
	t.Helper()
	var heard []string
	r := NewRegistry(func(c Change) { heard = append(heard, c.Before.Words()+" -> "+c.After.Words()) })
	mustApply(t, r, spec("a", "1"))
	return r.Table().Members[0].Upstream, &heard
}

// ranksOf makes a server of n ranks, and records its changes.
func ranksOf(t *testing.T, n int) (*Registry, []Member, *[]string) {
	t.Helper()
	var heard []string
	r := NewRegistry(func(c Change) {
		heard = append(heard, fmt.Sprintf("%s (%d): %s -> %s", c.Name(), len(c.Upstreams), c.Before.Words(), c.After.Words()))
	})
	mustApply(t, r, ranked("a", "1", n))
	return r, r.Table().Members, &heard
}

func wordsOf(members []Member) string {
	var words []string
	for _, m := range members {
		words = append(words, m.State().Words())
	}
	return strings.Join(words, " | ")
}
