package main

import (
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	m := result{
		to: 10 * time.Second, turns: 200, moved: 3, found: 90, kept: 120, work: []float64{1, 3, 2}, busy: []float64{5, 5, 5}, new: 50, newThere: 1,
	}
	for i := range 200 {
		m.waits = append(m.waits, time.Duration(200-i)*time.Second)
	}
	want := figures{hits: 75, work: 1.5, inFlight: 1, mean: 100.5, p50: 100, p90: 180, p99: 198, moved: 15, newThere: 2}
	if got := m.figures(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if m.rate() != 20 {
		t.Errorf("%v turns a second, want 20", m.rate())
	}
}

// The median is that of each figure by itself.
func TestMedian(t *testing.T) {
	got := median([]figures{{hits: 1, p99: 9, moved: 5}, {hits: 2, p99: 8, moved: 7}, {hits: 3, p99: 7, moved: 6}})
	if want := (figures{hits: 2, p99: 8, moved: 6}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// The result counts a part of the turns, and what the servers did meanwhile.
func TestMeasuredPart(t *testing.T) {
	m := simulate(t, busy(3), contenders()[2], 3)
	var work, busy float64
	for i := range m.work {
		work, busy = work+m.work[i], busy+m.busy[i]
	}
	if work <= 0 || busy <= 0 || m.from <= 0 || m.to <= m.from || m.found > m.kept {
		t.Errorf("%+v", m)
	}
}
