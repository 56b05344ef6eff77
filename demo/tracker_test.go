package demo

import (
	"slices"
	"testing"
)

// outageOf tracks five conversations over three servers, and kills server 1. Conversations 1 and 2 are on server 1, the
// others on servers 0 and 2.
func outageOf(t *testing.T) *tracker {
	t.Helper()
	k := newTracker(3)
	for conversation, server := range []int{0, 1, 1, 2, 0} {
		k.received(conversation, server)
	}
	if got := k.sessions(); !slices.Equal(got, []int{2, 2, 1}) {
		t.Fatalf("sessions %v", got)
	}
	k.kill(1)
	return k
}

func TestMoves(t *testing.T) {
	k := outageOf(t)
	k.received(0, 0)
	k.received(3, 2)
	k.received(1, 1) // in the last moment of server 1
	if orphans, _ := k.moves(); orphans.Of != 1 || orphans.Moved != 0 {
		t.Errorf("%+v", orphans)
	}
	k.received(1, 2)
	if k.allSeen() {
		t.Error("conversations 2 and 4 have sent no request since")
	}
	k.received(2, 0)
	k.ended(4) // it has no further turn
	if !k.allSeen() {
		t.Error("all conversations have sent a request since")
	}
	orphans, others := k.moves()
	if orphans.Of != 2 || orphans.Moved != 2 || !slices.Equal(orphans.to, []int{1, 0, 1}) || others.Of != 2 || others.Moved != 0 {
		t.Errorf("%+v, %+v", orphans, others)
	}
}

// A conversation that leaves its server and returns has moved.
func TestConversationsOnOtherServersThatMove(t *testing.T) {
	k := outageOf(t)
	k.received(0, 2)
	k.received(0, 0)
	k.received(3, 2)
	if _, others := k.moves(); others.Of != 2 || others.Moved != 1 {
		t.Errorf("%+v", others)
	}
}

// The home of a conversation that begins during the outage is its first server.
func TestNewConversationsInAnOutage(t *testing.T) {
	k := outageOf(t)
	k.received(10, 0)
	k.received(11, 2)
	k.received(11, 0)
	if orphans, others := k.moves(); orphans.Of != 0 || others.Of != 2 || others.Moved != 1 {
		t.Errorf("%+v, %+v", orphans, others)
	}
}

// A conversation that begins on the killed server in its last moment is an orphan. One that begins there after the restart is not.
func TestNewConversationsOnTheDeadServer(t *testing.T) {
	k := outageOf(t)
	k.received(20, 1)
	k.received(20, 2)
	k.restart()
	k.received(21, 1)
	if orphans, others := k.moves(); orphans.Of != 1 || orphans.Moved != 1 || others.Of != 1 || others.Moved != 0 {
		t.Errorf("%+v, %+v", orphans, others)
	}
	k.received(21, 0)
	if _, others := k.moves(); others.Moved != 1 {
		t.Errorf("%+v", others)
	}
}
