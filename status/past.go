package status

import (
	"math"
	"time"
)

// Times of the past that is kept.
const (
	// tick is the time between two snapshots while pages are open.
	tick = time.Second
	// markEvery and marks give the last minute: rates are differences between now and a mark.
	markEvery = 5 * time.Second
	marks     = 12
	// sampleEvery and samples give the last 15 minutes, for the charts.
	sampleEvery = 10 * time.Second
	samples     = 90
)

// recently has the counts of the last minute, a mark every 5 s. The zero value has none.
type recently struct {
	ring [marks]mark
	n    int // marks so far
}

type mark struct {
	at  time.Time
	sum counts
}

// note adds a mark, in the place of the oldest one if all are taken.
func (r *recently) note(now time.Time, sum *counts) {
	r.ring[r.n%marks] = mark{now, *sum}
	r.n++
}

// back returns the mark that lies n marks back, or the oldest one.
func (r *recently) back(n int) *mark { return &r.ring[(r.n-min(n, r.n, marks))%marks] }

// minute returns what was counted in the last 55 to 60 seconds, and in how many seconds.
func (r *recently) minute(now time.Time, sum *counts) (counts, float64) {
	return r.last(marks, now, sum)
}

// moment returns what was counted in the last 5 to 10 seconds, and in how many seconds.
func (r *recently) moment(now time.Time, sum *counts) (counts, float64) { return r.last(2, now, sum) }

func (r *recently) last(n int, now time.Time, sum *counts) (counts, float64) {
	if r.n == 0 {
		return counts{}, 0
	}
	from := r.back(n)
	return sum.since(&from.sum), now.Sub(from.at).Seconds()
}

// rate returns n by seconds, rounded to hundredths; 0 without time.
func rate(n uint64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return round(float64(n)/seconds, 100)
}

// round rounds x to a unit of 1/parts.
func round(x float64, parts float64) float64 { return math.Round(x*parts) / parts }

// series is the last 15 minutes of a figure: a ring of samples. The zero value has none.
type series[T any] struct {
	ring [samples]T
	n    int // samples so far
}

// add adds a sample, in the place of the oldest one if all are taken.
func (s *series[T]) add(sample T) {
	s.ring[s.n%samples] = sample
	s.n++
}

// all returns the samples, the oldest first.
func (s *series[T]) all() []T {
	kept := make([]T, 0, min(s.n, samples))
	for i := s.n - min(s.n, samples); i < s.n; i++ {
		kept = append(kept, s.ring[i%samples])
	}
	return kept
}

// last returns the last sample, the zero value without one.
func (s *series[T]) last() (sample T) {
	if s.n > 0 {
		sample = s.ring[(s.n-1)%samples]
	}
	return sample
}
