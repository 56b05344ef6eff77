package status

import (
	"testing"
	"time"
)

// The last minute is the difference to the oldest mark, and the moment that to the last but one.
func TestRecently(t *testing.T) {
	var r recently
	now := time.Unix(1000, 0)
	sum := counts{}
	if d, s := r.minute(now, &sum); d.requests != 0 || s != 0 || rate(d.requests, s) != 0 {
		t.Errorf("%d requests in %v s before the first mark", d.requests, s)
	}
	for i := range 40 {
		r.note(now, &sum)
		now = now.Add(markEvery)
		sum.requests += 50
		minute, seconds := r.minute(now, &sum)
		want := uint64(50 * min(i+1, marks))
		if minute.requests != want || rate(minute.requests, seconds) != 10 {
			t.Fatalf("after %d marks: %d requests in %v s, want %d", i+1, minute.requests, seconds, want)
		}
		if moment, _ := r.moment(now, &sum); moment.requests != uint64(50*min(i+1, 2)) {
			t.Fatalf("after %d marks: %d requests in a moment", i+1, moment.requests)
		}
	}
}

// A series keeps its last samples in their order.
func TestSeries(t *testing.T) {
	var s series[int]
	if s.last() != 0 || len(s.all()) != 0 {
		t.Error("an empty series has samples")
	}
	for i := range 3*samples + 7 {
		s.add(i)
		all := s.all()
		first := max(0, i-samples+1)
		if s.last() != i || len(all) != i-first+1 || all[0] != first || all[len(all)-1] != i {
			t.Fatalf("after %d: %d samples, %d to %d", i, len(all), all[0], all[len(all)-1])
		}
	}
}
