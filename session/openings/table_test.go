package openings

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var noon = time.Unix(1_800_000_000, 0)

// at returns a time some minutes after noon.
func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

// next returns how the n-th conversation goes on.
func next(n int) uint64 { return uint64(n+1) << elderBits }

func (t *Table) apart(hash uint64, n int, now time.Time) bool {
	return t.Tell(hash, next(n), now, true)
}

// The first conversations of an opening are known by it for good. All others are told apart.
func TestWide(t *testing.T) {
	table := NewTable()
	for turn := range 3 {
		for n := range 20 {
			if got, want := table.apart(7, n, at(turn)), n >= maxElders; got != want {
				t.Errorf("turn %d of conversation %d: apart %v", turn, n, got)
			}
		}
	}
	if table.Wide() != 1 {
		t.Errorf("%d openings are wide", table.Wide())
	}
	if table.apart(8, 9, noon) {
		t.Error("another opening is wide too")
	}
	if !table.apart(7, 30, at(10_000)) || table.apart(7, 1, at(10_000)) {
		t.Error("a wide opening changed with the time")
	}
}

// Equal requests, however many, and conversations that are over, leave an opening narrow.
func TestNarrow(t *testing.T) {
	table := NewTable()
	for n := range 1000 {
		if table.apart(1, 0, at(n)) {
			t.Fatal("equal requests made an opening wide")
		}
	}
	for n := range 1000 {
		if table.apart(3, n, at(10*n)) {
			t.Fatal("conversations that are over made an opening wide")
		}
	}
	if table.Wide() != 0 {
		t.Errorf("%d openings are wide", table.Wide())
	}
}

// A question changes nothing.
func TestQuestionLearnsNothing(t *testing.T) {
	table := NewTable()
	ask := func(n int) bool { return table.Tell(7, next(n), noon, false) }
	for n := range 20 {
		if ask(n) {
			t.Fatal("a question was remembered")
		}
	}
	for n := range maxElders {
		table.apart(7, n, noon)
	}
	for n := range 20 {
		if apart := ask(n); apart != (n >= maxElders) {
			t.Errorf("conversation %d: apart %v", n, apart)
		}
	}
	if table.Wide() != 0 {
		t.Error("a question made the opening wide")
	}
}

// The table is bounded. A wide opening outlasts narrow ones, however many, and its count stays right.
func TestBounded(t *testing.T) {
	table := NewTable()
	for n := range maxElders + 1 {
		table.apart(7, n, noon)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2 * maxOpenings {
		table.Tell(r.Uint64(), next(1), at(1), true)
	}
	if !table.apart(7, 100, at(2)) {
		t.Error("narrow openings pushed a wide one out")
	}
	for n := range 3 * maxOpenings {
		hash := r.Uint64()
		for k := range maxElders + 1 {
			table.Tell(hash, next(k), at(2+n/3000), true)
		}
	}
	wide := 0
	for i := range table.sets {
		for k := range table.sets[i] {
			if table.sets[i][k].wide.Load() {
				wide++
			}
		}
	}
	if wide != table.Wide() || wide < maxOpenings*8/10 {
		t.Errorf("%d openings are wide, %d are counted", wide, table.Wide())
	}
}

// Concurrent use loses no more than an elder: no opening of a single conversation becomes wide.
func TestConcurrent(t *testing.T) {
	table := NewTable()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 3))
			for n := range 20_000 {
				shared := r.Uint64N(50) + 1
				if table.apart(shared, 1, at(n%5)) {
					t.Error("an opening of one conversation is wide")
					return
				}
				table.apart(1000+r.Uint64N(20), r.IntN(100), at(n%5))
			}
		})
	}
	all.Wait()
	if table.Wide() != 20 {
		t.Errorf("%d openings are wide, want 20", table.Wide())
	}
}

func TestTellAllocatesNothing(t *testing.T) {
	table := NewTable()
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		table.apart(uint64(i%7)+1, i%50, noon)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTell(b *testing.B) {
	for name, spread := range map[string]uint64{"one opening": 1, "many openings": maxOpenings / 2} {
		b.Run(name, func(b *testing.B) {
			table := NewTable()
			r := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				table.Tell(1+r.Uint64N(spread)*0x9e3779b97f4a7c15, next(1), noon, true)
			}
		})
	}
}
