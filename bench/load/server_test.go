package main

import "testing"

func TestCharges(t *testing.T) {
	w := fleet(t, "hash")
	s := w.servers[0]
	a, b := &request{n: 4, charge: 100}, &request{n: 5, charge: 20}
	s.place(a, 1)
	s.place(b, 2)
	if s.backlog != 120 || s.charged != 120 || s.chosen != 6 || s.InFlight() != 2 || s.unanswered[0] != a {
		t.Errorf("%+v", s)
	}
	s.answered(a)
	if s.backlog != 20 || s.charged != 120 || s.unanswered[0] != b {
		t.Errorf("%+v", s)
	}
}
