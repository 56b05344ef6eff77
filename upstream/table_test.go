package upstream

import (
	"fmt"
	"slices"
	"testing"
)

func TestRanks(t *testing.T) {
	r := NewRegistry(nil)
	a, b := ranked("a", "1", 3), ranked("b", "2", 3)
	a.Slot, b.Slot, b.Weight = 5, 0, 50
	mustApply(t, r, a, b)
	var got []string
	for i, m := range r.Table().Members {
		got = append(got, fmt.Sprintf("%s rank %d slot %d weight %d of %s", m.Name(), m.Rank(), m.Slot, m.Weight, m.Server.Name()))
		if r.Table().Named(m.Name()).Upstream != m.Upstream || r.Table().Index(m.Ref()) != i {
			t.Errorf("%s is not found", m.Name())
		}
	}
	want := []string{
		"a@0 rank 0 slot 15 weight 100 of a", "a@1 rank 1 slot 16 weight 100 of a", "a@2 rank 2 slot 17 weight 100 of a",
		"b@0 rank 0 slot 0 weight 50 of b", "b@1 rank 1 slot 1 weight 50 of b", "b@2 rank 2 slot 2 weight 50 of b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if r.Table().Named("a") != nil || r.Table().ServerNamed("a") != r.Table().Members[0].Server || r.Table().ServerNamed("a@0") != nil {
		t.Error("a server is an upstream, or a rank is a server")
	}
	a.Slot, a.Ranks = -1, 2 // ring.Unnumbered
	mustApply(t, r, a)
	for _, m := range r.Table().Members {
		if m.Slot != -1 {
			t.Errorf("%s has the slot %d", m.Name(), m.Slot)
		}
	}
	if _, err := r.Apply([]Spec{ranked("a", "1", MaxUpstreams), spec("b", "2")}); err == nil || err.Error() != "4097 upstreams, want at most 4096" {
		t.Error(err)
	}
	mustApply(t, r, ranked("a", "1", MaxUpstreams))
}
