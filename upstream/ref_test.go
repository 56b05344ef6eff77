package upstream

import (
	"fmt"
	"testing"
)

// However often servers are replaced, no two incarnations share a Ref, and few seats are used.
func TestRefsAreNeverReused(t *testing.T) {
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
