package pins

import (
	"testing"
	"time"
)

// Buckets grow with the entries, one at a time, up to their capacity, and each pin is found in every state.
func TestBucketsGrow(t *testing.T) {
	const capacity = 300
	m := newMap(1, capacity, time.Hour)
	s := &m.shards[0]
	now, most := m.start, s.capacity[protected]
	for n := range most {
		m.Set(testKey(uint64(n)), ref(0, 1), now)
		if want := min(n+2, cap(s.buckets)); len(s.buckets) != want {
			t.Fatalf("%d buckets for %d pins, want %d", len(s.buckets), n+1, want)
		}
		for k := range n + 1 {
			if got, _ := m.Peek(testKey(uint64(k)), now); got != ref(0, 1) {
				t.Fatalf("pin %d of %d is lost", k, n+1)
			}
		}
	}
	if len(s.buckets) != cap(s.buckets) || len(s.buckets) < capacity/2 {
		t.Errorf("%d buckets at last, with space for %d", len(s.buckets), cap(s.buckets))
	}
}
