package main

import "testing"

func TestCharges(t *testing.T) {
	w := fleet(t, "hash")
	s := w.servers[0]
	a, b := &request{n: 4, charge: 100}, &request{n: 5, charge: 20}
	s.place(a)
	s.place(b)
	if s.backlog != 120 || s.chosen != 6 || s.InFlight() != 2 {
		t.Errorf("%+v", s)
	}
	s.answered(a)
	if s.backlog != 20 || s.chosen != 6 {
		t.Errorf("%+v", s)
	}
}
