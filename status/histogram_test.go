package status

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A quantile is at most 9 % off, as long as the times are within the buckets.
func TestQuantile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	times := make([]time.Duration, 10_000)
	for i := range times {
		times[i] = time.Duration(math.Exp(random.Float64()*math.Log(200_000)) * float64(time.Millisecond)) // 1 ms to 200 s
		h[bucketOf(times[i])]++
	}
	slices.Sort(times)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		want := times[int(math.Ceil(q*float64(len(times))))-1]
		if got := h.quantile(q); math.Abs(float64(got-want)) > 0.09*float64(want) {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

// Times outside the buckets count in the first and the last one, and no time has no quantile.
func TestEdges(t *testing.T) {
	for d, want := range map[time.Duration]int{-1: 0, 0: 0, time.Millisecond: 0, 2 * time.Millisecond: 4, 24 * time.Hour: buckets - 1, math.MaxInt64: buckets - 1} {
		if got := bucketOf(d); got != want {
			t.Errorf("%v is in bucket %d, want %d", d, got, want)
		}
	}
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Errorf("%v without times", got)
	}
}

// Each bucket begins where the one before ends, at the fourth roots of the powers of two.
func TestBucketBegins(t *testing.T) {
	for i, begin := range bucketBegins {
		want := math.Exp2(float64(i)/perDoubling) * float64(time.Millisecond)
		if math.Abs(float64(begin)-want) > 1 || bucketOf(begin) != i || bucketOf(begin-1) != max(i-1, 0) {
			t.Errorf("%v is in bucket %d, and 1 ns less in %d; want %d, which begins at %.0f ns", begin, bucketOf(begin), bucketOf(begin-1), i, want)
		}
	}
}
