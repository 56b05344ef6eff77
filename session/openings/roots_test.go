package openings

import (
	"math/rand/v2"
	"sync"
	"testing"
)

func TestRoots(t *testing.T) {
	table := NewTable()
	if root := table.Root(7); root != 0 {
		t.Errorf("an empty table has the root %d", root)
	}
	for n := range uint64(1000) {
		table.SetRoot(n*n+1, n+1, noon)
	}
	for n := range uint64(1000) {
		if root := table.Root(n*n + 1); root != n+1 {
			t.Errorf("place %d has the root %d", n, root)
		}
	}
	table.SetRoot(2, 5, noon)
	if root := table.Root(2); root != 5 {
		t.Errorf("the root is %d after it was replaced", root)
	}
}

// The table is bounded: the place that was not used for longest goes first.
func TestRootsAreBounded(t *testing.T) {
	table := NewTable()
	place := func(n int) uint64 { return uint64(n)*maxRoots + 7 } // all in one set
	for n := range rootWays {
		table.SetRoot(place(n), uint64(n+1), at(n))
	}
	table.SetRoot(place(0), 1, at(rootWays))
	table.SetRoot(place(rootWays), 100, at(rootWays))
	for n := range rootWays + 1 {
		if root := table.Root(place(n)); (root == 0) != (n == 1) {
			t.Errorf("place %d has the root %d", n, root)
		}
	}
}

// Concurrent use mixes no two places up.
func TestRootsConcurrently(t *testing.T) {
	table := NewTable()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 50_000 {
				n := r.Uint64N(40)
				if root := table.Root(n*maxRoots + 1); root != 0 && root != n+1 {
					t.Errorf("place %d has the root %d", n, root)
					return
				}
				table.SetRoot(n*maxRoots+1, n+1, at(int(n)))
			}
		})
	}
	all.Wait()
}

func TestRootsAllocateNothing(t *testing.T) {
	table := NewTable()
	if n := testing.AllocsPerRun(100, func() {
		table.Root(7)
		table.SetRoot(7, 1, noon)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
