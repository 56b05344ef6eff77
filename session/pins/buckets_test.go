package pins

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// checkIndex checks that each entry in the index is in its own bucket, and that only the first extra bucket of a full one has free slots. It
// returns the number of entries.
func checkIndex(t testing.TB, s *shard) (n int) {
	t.Helper()
	x, extra := &s.index, 0
	for at := range x.buckets {
		home := &x.buckets[at]
		for b := home; ; b = &x.extra[b.more] {
			taken := b.len()
			n += taken
			for at, slot := range b.slots {
				if (slot == none) != (at >= taken) {
					t.Fatalf("a free slot before a taken one")
				}
				if slot == none {
					continue
				}
				if h := s.hash.of(s.entries[slot&maxNumber].key.key()); x.home(h) != home || slot&^maxNumber != tag(h) {
					t.Fatalf("an entry is in the wrong bucket")
				}
			}
			if b != home {
				extra++
			}
			if b.more != none && taken < len(b.slots) && (b == home || b != &x.extra[home.more]) || taken == 0 && b != home {
				t.Fatalf("an extra bucket is not needed")
			}
			if b.more == none {
				break
			}
		}
	}
	for e := x.unused; e != none; e = x.extra[e].more {
		extra++
	}
	if extra != max(0, len(x.extra)-1) {
		t.Fatalf("%d extra buckets are in use or wait for it, of %d", extra, len(x.extra)-1)
	}
	return n
}

// Buckets grow with the entries, one at a time, up to their capacity, and each pin is found in every state.
func TestBucketsGrow(t *testing.T) {
	const capacity = 3000
	m := newMap(1, capacity, time.Hour)
	s := &m.shards[0]
	x := &s.index
	now, most := m.start, s.capacity[protected]
	for n := range most {
		m.Set(testKey(uint64(n)), ref(0, 1), now)
		if want := min((n+2)/perBucket+1, cap(x.buckets)); len(x.buckets) > want || len(x.buckets) < want-1 {
			t.Fatalf("%d buckets for %d pins, want %d", len(x.buckets), n+1, want)
		}
		if n > 200 && n%50 != 0 {
			continue
		}
		if got := checkIndex(t, s); got != n+1 {
			t.Fatalf("%d of %d pins are in the index", got, n+1)
		}
		for k := range n + 1 {
			if got, _ := m.Peek(testKey(uint64(k)), now); got != ref(0, 1) {
				t.Fatalf("pin %d of %d is lost", k, n+1)
			}
		}
	}
	if len(x.buckets) != cap(x.buckets) || capacity > mostPerBucket*len(x.buckets) {
		t.Errorf("%d buckets at last, with space for %d", len(x.buckets), cap(x.buckets))
	}
}

// A bucket takes any number of entries, whatever the order in which they come and go, and frees the extra buckets that it no longer needs.
func TestFullBucket(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	x := index{buckets: make([]bucket, 1)}
	hashes := map[uint32]uint64{}
	slots := func() (all []uint32) {
		for b := &x.buckets[0]; ; b = &x.extra[b.more] {
			if n := b.len(); n > 0 {
				all = append(all, b.slots[:n]...)
			}
			if b.more == none {
				slices.Sort(all)
				return all
			}
		}
	}
	for step := range 4_000 {
		i := uint32(2 + random.IntN(200))
		h, is := hashes[i]
		if is {
			x.remove(h, i)
			delete(hashes, i)
		} else {
			hashes[i] = random.Uint64()
			x.add(hashes[i], i)
		}
		var want []uint32
		for i, h := range hashes {
			want = append(want, tag(h)|i)
		}
		slices.Sort(want)
		if got := slots(); !slices.Equal(got, want) {
			t.Fatalf("step %d: %d slots are taken, want %d", step, len(got), len(want))
		}
	}
	for i, h := range hashes {
		x.remove(h, i)
	}
	if x.buckets[0] != (bucket{}) {
		t.Errorf("the bucket of removed entries is %v", x.buckets[0])
	}
	if most := 200/len(bucket{}.slots) + 1; len(x.extra) > most+1 {
		t.Errorf("%d extra buckets for 200 entries", len(x.extra)-1)
	}
}

// The slots can number the entries of the largest map that the configuration allows.
func TestLargestShard(t *testing.T) {
	const mean = 100_000_000 / maxShards
	if n := bucketsFor(mean + mean/100); n*mostPerBucket < mean {
		t.Errorf("%d buckets", n)
	}
}
