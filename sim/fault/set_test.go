package fault

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func mustInject(t *testing.T, s *Set, f Fault) {
	t.Helper()
	if err := s.Inject(f); err != nil {
		t.Fatal(err)
	}
}

// take returns the kinds of the faults that apply to a request.
func take(t *testing.T, s *Set, path, header string) (kinds []Kind) {
	t.Helper()
	faults, err := s.Take(path, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		kinds = append(kinds, f.Kind)
	}
	return kinds
}

func TestTake(t *testing.T) {
	s := NewSet()
	mustInject(t, s, Fault{Kind: "503", Times: 2})
	mustInject(t, s, Fault{Kind: Unhealthy})
	mustInject(t, s, Fault{Kind: Slow, Arg: "1s", Path: "/metr*"})
	mustInject(t, s, Fault{Kind: Reset, Path: "/v1/messages"})
	for _, c := range []struct {
		path, header string
		want         []Kind
	}{
		{"/v1/models", "", nil}, // monitoring
		{"/health", "", []Kind{Unhealthy}},
		{"/metrics", "", []Kind{Slow}},
		{"/v1/messages/count_tokens", "", []Kind{Status}},
		{"/v1/messages", "hang, hang-health", []Kind{Hang, Status, Reset}},
		{"/v1/messages", "", []Kind{Reset}}, // both times of the first fault are used up
		{"/ping", "hang-health", []Kind{HangHealth, Unhealthy}},
	} {
		if d := cmp.Diff(c.want, take(t, s, c.path, c.header), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s with header %q: %s", c.path, c.header, d)
		}
	}
	if _, err := s.Take("/v1/messages", "nonsense"); err == nil {
		t.Error("an unknown fault in the header is no error")
	}
}

func TestClear(t *testing.T) {
	s := NewSet()
	mustInject(t, s, Fault{Kind: Hang, Times: 3})
	faults, err := s.Take("/v1/completions", "stall")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Fault{{Kind: Hang, Times: 2}}, s.List()); d != "" {
		t.Error(d)
	}
	s.Clear()
	for _, f := range faults {
		select {
		case <-f.Cleared:
		default:
			t.Errorf("%s is not cleared", f.Kind)
		}
	}
	if n := len(s.List()); n != 0 {
		t.Errorf("%d faults after Clear", n)
	}
}

func TestInjectRefusesNonsense(t *testing.T) {
	s := NewSet()
	for _, f := range []Fault{{}, {Kind: "nope"}, {Kind: Slow}, {Kind: Hang, Times: -1}} {
		if s.Inject(f) == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
	if n := len(s.List()); n != 0 {
		t.Errorf("%d faults", n)
	}
}
