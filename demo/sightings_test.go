package demo

import (
	"math/rand/v2"
	"slices"
	"testing"

	"tether/sim"
)

// Three servers; 1 dies. Conversations 0, 3 and 4 are on 0 and 2, the others on 1.
func outageOf(t *testing.T) *sightings {
	t.Helper()
	s := newSightings(3)
	for conversation, server := range []int{0, 1, 1, 2, 0} {
		s.saw(conversation, server)
	}
	if got := s.sessions(); !slices.Equal(got, []int{2, 2, 1}) {
		t.Fatalf("sessions %v", got)
	}
	s.killed(1)
	return s
}

func TestMoves(t *testing.T) {
	s := outageOf(t)
	s.saw(0, 0)
	s.saw(3, 2)
	s.saw(1, 1) // in its last moment
	if orphans, _ := s.moves(); orphans.of != 1 || orphans.moved != 0 {
		t.Errorf("%+v", orphans)
	}
	s.saw(1, 2)
	if s.settled() {
		t.Error("2 and 4 have not asked again")
	}
	s.saw(2, 0)
	s.ended(4) // it has no further turn to wait for
	if !s.settled() {
		t.Error("all have asked again")
	}
	orphans, others := s.moves()
	if orphans.of != 2 || orphans.moved != 2 || !slices.Equal(orphans.to, []int{1, 0, 1}) || others.of != 2 || others.moved != 0 {
		t.Errorf("%+v, %+v", orphans, others)
	}
}

// A conversation that leaves and comes back has moved all the same.
func TestOthersThatMove(t *testing.T) {
	s := outageOf(t)
	s.saw(0, 2)
	s.saw(0, 0)
	s.saw(3, 2)
	if _, others := s.moves(); others.of != 2 || others.moved != 1 {
		t.Errorf("%+v", others)
	}
}

// A conversation that begins during the outage belongs to its first server.
func TestNewConversationsInAnOutage(t *testing.T) {
	s := outageOf(t)
	s.saw(10, 0)
	s.saw(11, 2)
	s.saw(11, 0)
	if orphans, others := s.moves(); orphans.of != 0 || others.of != 2 || others.moved != 1 {
		t.Errorf("%+v, %+v", orphans, others)
	}
}

// One that comes to the dead server in its last moment is its own; one that begins there later is not.
func TestNewConversationsOnTheDeadServer(t *testing.T) {
	s := outageOf(t)
	s.saw(20, 1)
	s.saw(20, 2)
	s.returned()
	s.saw(21, 1)
	if orphans, others := s.moves(); orphans.of != 1 || orphans.moved != 1 || others.of != 1 || others.moved != 0 {
		t.Errorf("%+v, %+v", orphans, others)
	}
	s.saw(21, 0)
	if _, others := s.moves(); others.moved != 1 {
		t.Errorf("%+v", others)
	}
}

// Only the demonstration's own conversations count, known by how they open.
func TestNumberOf(t *testing.T) {
	p := Brisk()
	ours := newConversation(17, &p, rand.New(rand.NewPCG(1, 1)))
	for range 3 {
		if n, ok := numberOf(ours.asks()); !ok || n != 17 {
			t.Errorf("%d, %v", n, ok)
		}
		ours.goesOn("Conversation 4: an answer that looks like an opening")
	}
	s := newSightings(1)
	for _, body := range []string{
		``, `{}`, `{"messages":[]}`, `{"messages":[{"role":"user","content":"Hello"}]}`, `{"messages":"Conversation 1: "}`,
		`{"messages":[{"content":"Conversation x: "}]}`, `{"messages":[{"content":"Conversation 12"}]}`,
	} {
		s.hook(0)(sim.Seen{Body: []byte(body)})
	}
	if got := s.sessions()[0]; got != 0 {
		t.Errorf("%d of them were taken for ours", got)
	}
}
