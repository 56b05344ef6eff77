package ring

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const keys = 100_000

// key returns the k-th test key, which is well mixed, as the hashes of callers are.
func key(k int) uint64 { return mix(uint64(k)*golden + 1) }

func all(int) bool { return true }

func without(dead ...int) func(int) bool {
	return func(i int) bool {
		for _, d := range dead {
			if i == d {
				return false
			}
		}
		return true
	}
}

func pods(n int) []Slot {
	slots := make([]Slot, n)
	for i := range slots {
		slots[i] = Slot{Name: fmt.Sprintf("vllm-%d", i), Number: i, Weight: FullWeight}
	}
	return slots
}

func unnumbered(slots []Slot) []Slot {
	out := append([]Slot(nil), slots...)
	for i := range out {
		out[i].Number = Unnumbered
	}
	return out
}

func mustNew(t testing.TB, slots []Slot) *Ring {
	t.Helper()
	r, err := New(slots)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *Ring) first(k uint64, usable func(int) bool) int {
	w := r.Walk(k)
	return w.Next(usable)
}

func place(r *Ring, usable func(int) bool) []int {
	at := make([]int, keys)
	for k := range at {
		at[k] = r.first(key(k), usable)
	}
	return at
}

func counts(at []int, n int) []int {
	c := make([]int, n)
	for _, i := range at {
		c[i]++
	}
	return c
}

// tables are the forms of tables that every promise is checked for.
var tables = map[string]func([]Slot) []Slot{
	"numbered": func(s []Slot) []Slot { return s },
	"gaps": func(s []Slot) []Slot {
		out := append([]Slot(nil), s...)
		for i := range out {
			out[i].Number = i * 3
		}
		return out
	},
	"sparse": func(s []Slot) []Slot { // nearly every key gets to the rendezvous
		out := append([]Slot(nil), s...)
		for i := range out {
			out[i].Number = MaxSlots - 1 - 5*i
		}
		return out
	},
	"unnumbered": unnumbered,
}

func eachTable(t *testing.T, n int, f func(t *testing.T, r *Ring)) {
	for name, form := range tables {
		t.Run(name, func(t *testing.T) { f(t, mustNew(t, form(pods(n)))) })
	}
}

func TestPromise1LossMovesOnlyItsKeys(t *testing.T) {
	const n = 16
	eachTable(t, n, func(t *testing.T, r *Ring) {
		before := place(r, all)
		for dead := 0; dead < n; dead += 3 {
			after := place(r, without(dead))
			moved := make([]int, n)
			total := 0
			for k := range before {
				switch {
				case before[k] == dead:
					moved[after[k]]++
					total++
				case after[k] != before[k]:
					t.Fatalf("slot %d is unusable: key %d moved from %d to %d", dead, k, before[k], after[k])
				}
			}
			load := counts(after, n)
			mean := float64(keys) / (n - 1)
			share := float64(total) / (n - 1)
			sigma := math.Sqrt(share * (1 - 1.0/(n-1)))
			for i := range n {
				if i == dead {
					continue
				}
				if got := float64(load[i]) / mean; got > 1.05 {
					t.Errorf("slot %d is unusable: slot %d has %.3f of the mean load, want at most 1.05", dead, i, got)
				}
				if off := math.Abs(float64(moved[i]) - share); off > 4*sigma {
					t.Errorf("slot %d is unusable: slot %d got %d of its keys, %.1f sigma off", dead, i, moved[i], off/sigma)
				}
			}
		}
	})
}

func TestPromise2ReturnRestoresEveryKey(t *testing.T) {
	eachTable(t, 16, func(t *testing.T, r *Ring) {
		before := place(r, all)
		place(r, without(3))
		place(r, without(3, 7, 11))
		for k, i := range place(r, all) {
			if i != before[k] {
				t.Fatalf("key %d is at %d after the return, was at %d", k, i, before[k])
			}
		}
	})
}

// Promise 3: places do not depend on the order of failures, the order of the table, or the process.
func TestPromise3NoHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 24).Draw(t, "n")
		numbered := rapid.Bool().Draw(t, "numbered")
		slots := make([]Slot, n)
		numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, 60), n, n, rapid.ID[int]).Draw(t, "numbers")
		for i := range slots {
			slots[i] = Slot{Name: fmt.Sprintf("s%d", i), Number: Unnumbered, Weight: rapid.IntRange(0, FullWeight).Draw(t, "weight")}
			if numbered {
				slots[i].Number = numbers[i]
			}
		}
		shuffled := rapid.Permutation(slots).Draw(t, "shuffled")
		a, b := mustBuild(t, slots), mustBuild(t, shuffled)
		if a.Digest() != b.Digest() {
			t.Fatalf("digests differ: %x, %x", a.Digest(), b.Digest())
		}
		dead := rapid.SliceOfDistinct(rapid.IntRange(0, n-1), rapid.ID[int]).Draw(t, "dead")
		usable := func(table []Slot) func(int) bool {
			return func(i int) bool {
				for _, d := range dead {
					if table[i].Name == slots[d].Name {
						return false
					}
				}
				return true
			}
		}
		k := rapid.Uint64().Draw(t, "key")
		wa, wb := a.Walk(k), b.Walk(k)
		for {
			i, j := wa.Next(usable(slots)), wb.Next(usable(shuffled))
			if (i < 0) != (j < 0) {
				t.Fatalf("one order ends before the other: %d, %d", i, j)
			}
			if i < 0 {
				return
			}
			if slots[i].Name != shuffled[j].Name {
				t.Fatalf("orders differ: %s, %s", slots[i].Name, shuffled[j].Name)
			}
		}
	})
}

func mustBuild(t *rapid.T, slots []Slot) *Ring {
	r, err := New(slots)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPromise4AppendMovesItsShareToItself(t *testing.T) {
	for _, dead := range [][]int{nil, {0, 5}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}} {
		eachTable(t, 16, func(t *testing.T, r *Ring) {
			slots := append(r.slots, Slot{Name: "vllm-16", Number: Unnumbered, Weight: FullWeight})
			if slots[0].Number != Unnumbered {
				slots[16].Number = min(len(r.buckets), MaxSlots-1)
				if len(r.buckets) == MaxSlots {
					slots[16].Number = 17 // a gap of the sparse table
				}
			}
			grown := mustNew(t, slots)
			before, after := place(r, without(dead...)), place(grown, without(dead...))
			moved := 0
			for k := range before {
				if before[k] == after[k] {
					continue
				}
				if after[k] != 16 {
					t.Fatalf("key %d moved from %d to %d, not to the new slot", k, before[k], after[k])
				}
				moved++
			}
			usable := 16 - len(dead)
			if got, most := float64(moved)/keys, 1.1/float64(usable+1); got > most {
				t.Errorf("%.4f of the keys moved, want at most %.4f", got, most)
			}
			if moved == 0 {
				t.Error("no key moved to the new slot")
			}
		})
	}
}

func TestPromise5Weights(t *testing.T) {
	weights := []int{10, 20, 40, 80}
	eachTable(t, len(weights), func(t *testing.T, r *Ring) {
		slots := append([]Slot(nil), r.slots...)
		for i := range slots {
			slots[i].Weight = weights[i]
		}
		light := place(mustNew(t, slots), all)
		for i, c := range counts(light, len(slots)) {
			want := float64(weights[i]) / 150
			if got := float64(c) / keys; math.Abs(got-want) > 0.02*want+4*math.Sqrt(want*(1-want)/keys) {
				t.Errorf("weight %d: %.4f of the keys, want %.4f", weights[i], got, want)
			}
		}
		slots[1].Weight = 60
		moved := 0
		for k, i := range place(mustNew(t, slots), all) {
			if i == light[k] {
				continue
			}
			if i != 1 {
				t.Fatalf("raising slot 1 moved key %d from %d to %d", k, light[k], i)
			}
			moved++
		}
		want := 60.0/190 - 20.0/150
		if got := float64(moved) / keys; math.Abs(got-want) > 0.02 {
			t.Errorf("raising slot 1 from 20 to 60 moved %.4f of the keys, want %.4f", got, want)
		}
	})
}

func TestPromise6NoAllocations(t *testing.T) {
	r := mustNew(t, pods(16))
	usable := without(3)
	if n := testing.AllocsPerRun(100, func() {
		w := r.Walk(key(1))
		for w.Next(usable) >= 0 {
		}
	}); n != 0 {
		t.Errorf("a walk allocates %v times", n)
	}
}

func TestWalkReturnsEachUsableSlotOnce(t *testing.T) {
	eachTable(t, 16, func(t *testing.T, r *Ring) {
		slots := append([]Slot(nil), r.slots...)
		slots[4].Weight = 0
		r = mustNew(t, slots)
		for k := range 1000 {
			seen := map[int]bool{}
			w := r.Walk(key(k))
			for i := w.Next(without(9)); i >= 0; i = w.Next(without(9)) {
				if seen[i] || i == 4 || i == 9 {
					t.Fatalf("key %d: slot %d is returned wrongly, after %v", k, i, seen)
				}
				seen[i] = true
			}
			if len(seen) != 14 {
				t.Fatalf("key %d: %d slots, want 14", k, len(seen))
			}
		}
	})
}

// A walk over a large table returns each slot once, too, and allocates no more than once.
func TestLongWalk(t *testing.T) {
	r := mustNew(t, pods(512))
	seen := map[int]bool{}
	w := r.Walk(key(1))
	for i := w.Next(all); i >= 0; i = w.Next(all) {
		seen[i] = true
		if len(seen) > 512 {
			break
		}
	}
	if len(seen) != 512 || w.Next(all) != -1 {
		t.Errorf("%d slots of 512", len(seen))
	}
	if n := testing.AllocsPerRun(10, func() {
		w := r.Walk(key(1))
		for range 32 {
			w.Next(all)
		}
	}); n != 0 {
		t.Errorf("32 slots of a walk allocate %v times", n)
	}
}

// The next slot of a walk is the home of the key once the slots before it are unusable.
func TestWalkAgreesWithHomes(t *testing.T) {
	eachTable(t, 8, func(t *testing.T, r *Ring) {
		for k := range 2000 {
			var dead []int
			w := r.Walk(key(k))
			for i := w.Next(all); i >= 0; i = w.Next(all) {
				if home := r.first(key(k), without(dead...)); home != i {
					t.Fatalf("key %d without %v: home %d, walk %d", k, dead, home, i)
				}
				dead = append(dead, i)
			}
		}
	})
}

// Slots that may not serve a key never move the key if it is placed by Rendezvous.
func TestRendezvousIgnoresForeignSlots(t *testing.T) {
	big := mustNew(t, pods(16))
	half := mustNew(t, pods(8))
	ours := func(i int) bool { return i < 8 }
	for k := range 10_000 {
		a, b := big.Rendezvous(key(k)), half.Rendezvous(key(k))
		if i, j := a.Next(ours), b.Next(all); i != j {
			t.Fatalf("key %d: %d among 16, %d among 8", k, i, j)
		}
	}
}

func TestDigestCoversTheTable(t *testing.T) {
	base := mustNew(t, pods(3)).Digest()
	for name, change := range map[string]func([]Slot){
		"name":   func(s []Slot) { s[1].Name = "other" },
		"number": func(s []Slot) { s[1].Number = 7 },
		"weight": func(s []Slot) { s[1].Weight = 99 },
	} {
		slots := pods(3)
		change(slots)
		if mustNew(t, slots).Digest() == base {
			t.Errorf("another %s has the same digest", name)
		}
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := New([]Slot{
		{Name: "a", Number: 0, Weight: 100},
		{Name: "a", Number: 0, Weight: 101},
		{Name: "", Number: 4096, Weight: -1},
		{Name: "b", Number: Unnumbered},
	})
	want := []string{
		`slot "a" is there twice`,
		`slot "a": weight 101, want 0..100`,
		`slot "a": number 0 is taken by "a"`,
		`slot without a name`,
		`slot "": weight -1, want 0..100`,
		`slot "": number 4096, want 0..4095`,
		`slot "b": either all slots are numbered or none`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got:\n%v\nwant:\n%s", err, strings.Join(want, "\n"))
	}
	r := mustNew(t, nil)
	if i := r.first(1, all); i != -1 {
		t.Errorf("an empty ring returns %d", i)
	}
}

// A greater u never has a greater cost, and costs are close to -log2.
func TestCost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64Min(1).Draw(t, "a"), rapid.Uint64Min(1).Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		if cost(a) < cost(b) {
			t.Fatalf("cost(%d) = %d < cost(%d) = %d", a, cost(a), b, cost(b))
		}
		want := 64 - math.Log2(float64(a))
		if got := float64(cost(a)) / (1 << costBits); math.Abs(got-want) > 1e-5 {
			t.Fatalf("cost(%d) = %.7f, want %.7f", a, got, want)
		}
	})
}
