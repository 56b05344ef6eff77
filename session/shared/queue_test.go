package shared

import "testing"

// A queue takes changes without a reader until it is full. Then it drops and counts them.
func TestQueue(t *testing.T) {
	q := NewQueue()
	c := Change{Sighting: Sighting{At: "vllm-0"}}
	for range maxQueued + 3 {
		q.Add(&c)
	}
	<-q.Added()
	got, lost := q.Take(nil)
	if len(got) != maxQueued || !lost || q.Dropped() != 3 || got[0] != c {
		t.Errorf("%d changes, lost %v, %d dropped", len(got), lost, q.Dropped())
	}
	q.Add(&c)
	<-q.Added()
	if got, lost = q.Take(got[:0]); len(got) != 1 || lost {
		t.Errorf("%d changes, lost %v", len(got), lost)
	}
}
