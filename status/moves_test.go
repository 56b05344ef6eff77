package status

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Moves are counted by their way, in a fixed order, and shown for a while with ascending IDs.
func TestMoves(t *testing.T) {
	var m moves
	now := time.Unix(1000, 0)
	for range 3 {
		m.note(route{"a", "b", "down"})
	}
	m.note(route{"a", "c", "down"})
	m.note(route{"a", "b", "busier"})
	want := []Move{{1, "a", "b", "busier", 1, now}, {2, "a", "b", "down", 3, now}, {3, "a", "c", "down", 1, now}}
	if got := m.take(now); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := m.take(now.Add(showMoves)); len(got) != 0 || len(m.shown) != 3 {
		t.Errorf("%v, and %d are shown", got, len(m.shown))
	}
	m.note(route{"b", "a", "gone"})
	if m.take(now.Add(showMoves + 1)); len(m.shown) != 1 || m.shown[0].ID != 4 {
		t.Errorf("%v are shown", m.shown)
	}
}

// However many upstreams lose conversations, what is kept of them is bounded, and none is lost in the sums.
func TestMovesAreBounded(t *testing.T) {
	var m moves
	const n = 5 * maxFresh
	now := time.Unix(1000, 0)
	for round := range 3 {
		for i := range n {
			m.note(route{"a", fmt.Sprint(i), "down"})
		}
		sum := 0
		for _, one := range m.take(now) {
			sum += one.Count
		}
		if sum != n || len(m.shown) > maxShown {
			t.Errorf("round %d: %d moves, and %d are shown", round, sum, len(m.shown))
		}
	}
}

// Many moves from one upstream for one reason are one event, however long they take. Few moves are none.
func TestBursts(t *testing.T) {
	var b bursts
	var e events
	now := time.Unix(1000, 0)
	b.note([]Move{{From: "a", To: "b", Why: "down", Count: 3}, {From: "z", To: "b", Why: "busier", Count: massMove - 1}}, now, &e)
	if all := e.after(time.Time{}); len(all) != 0 {
		t.Errorf("%v", all)
	}
	for _, to := range []string{"b", "c", "d", "e", "f", ""} {
		now = now.Add(burstEnds)
		b.note([]Move{{From: "a", To: to, Why: "down", Count: 2}}, now, &e)
	}
	all := e.after(time.Time{})
	want := "15 conversations moved away (down): 5 to b, 2 to c, 2 to d, 2 to e, 4 to others"
	if len(all) != 1 || all[0].Text != want || all[0].Upstream != "a" || all[0].Kind != "moves" {
		t.Errorf("%v, want %s", all, want)
	}
	now = now.Add(burstEnds + 1)
	b.note([]Move{{From: "a", To: "b", Why: "down", Count: massMove}}, now, &e)
	if all := e.after(time.Time{}); len(all) != 2 || all[1].Text != "5 conversations moved away (down): 5 to b" {
		t.Errorf("%v", all)
	}
	if len(b.open) != 1 {
		t.Errorf("%d bursts are open", len(b.open))
	}
}
