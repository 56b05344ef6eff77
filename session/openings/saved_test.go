package openings

import (
	"math/rand/v2"
	"testing"
	"time"
)

// What was saved is there again: places in prompts, elders, and that an opening is wide.
func TestSavedTable(t *testing.T) {
	table := NewTable()
	for n := range uint64(1000) {
		table.SetRoot(n*n+1, n+1, noon)
	}
	for n := range uint64(maxElders + 1) { // 7 is wide, 8 is not
		table.Tell(7, (n+1)<<20, noon, true)
	}
	table.Tell(8, 1<<20, noon, true)
	var s Saved
	table.Save(&s, time.Time{})
	if len(s.Roots) != 1000*RootSize || len(s.Openings) != 2*OpeningSize {
		t.Fatalf("%d and %d bytes", len(s.Roots), len(s.Openings))
	}

	got := NewTable()
	got.Restore(s, noon)
	got.Restore(s, noon) // the same again changes nothing
	for n := range uint64(1000) {
		if root := got.Root(n*n + 1); root != n+1 {
			t.Fatalf("place %d has the root %d", n, root)
		}
	}
	if got.Wide() != 1 {
		t.Errorf("%d openings are wide", got.Wide())
	}
	for n := range uint64(maxElders + 2) {
		if tell, want := got.Tell(7, (n+1)<<20, noon, false), table.Tell(7, (n+1)<<20, noon, false); tell != want {
			t.Errorf("conversation %d is told apart: %v, want %v", n, tell, want)
		}
	}
	var again Saved
	got.Save(&again, time.Time{})
	if len(again.Roots) != len(s.Roots) || len(again.Openings) != len(s.Openings) {
		t.Errorf("%d and %d bytes the second time", len(again.Roots), len(again.Openings))
	}
}

// Only what was used since a time is saved.
func TestSaveSince(t *testing.T) {
	table := NewTable()
	table.SetRoot(1, 5, noon)
	table.SetRoot(2, 6, noon.Add(time.Minute))
	table.Tell(3, 1<<20, noon, true)
	table.Tell(4, 1<<20, noon.Add(time.Minute), true)
	var s Saved
	table.Save(&s, noon.Add(30*time.Second))
	got := NewTable()
	got.Restore(s, noon.Add(time.Minute))
	if got.Root(1) != 0 || got.Root(2) != 6 || len(s.Openings) != OpeningSize {
		t.Errorf("%d, %d, %d bytes of openings", got.Root(1), got.Root(2), len(s.Openings))
	}
}

// A table that has learned something of its own keeps it, and takes the elders that it lacks.
func TestRestoreIntoATableThatKnows(t *testing.T) {
	saved, got := NewTable(), NewTable()
	saved.SetRoot(1, 5, noon)
	got.SetRoot(1, 6, noon)
	saved.Tell(3, 1<<20, noon, true)
	got.Tell(3, 2<<20, noon, true)
	var s Saved
	saved.Save(&s, time.Time{})
	got.Restore(s, noon)
	if root := got.Root(1); root != 6 {
		t.Errorf("the root is %d", root)
	}
	o := got.find(3)
	if _, is := o.elder(1<<20, noon); !is {
		t.Error("the saved elder is missing")
	}
	if _, is := o.elder(2<<20, noon); !is {
		t.Error("the own elder is gone")
	}
}

// Bytes that were not saved by a table do no harm.
func TestRestoreOfAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	table := NewTable()
	for n := range 2000 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32() >> (r.Uint32N(4) * 8))
		}
		table.Restore(Saved{b, b}, noon)
	}
	zero := make([]byte, 10*OpeningSize)
	table.Restore(Saved{zero, zero}, noon)
	table.Tell(9, 1<<20, noon, true)
	if table.Wide() < 0 || table.Wide() > maxOpenings {
		t.Errorf("%d are wide", table.Wide())
	}
}
