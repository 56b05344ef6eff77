package warm

import (
	"math"
	"testing"
)

func TestShortfall(t *testing.T) {
	var l losses
	if share, n := l.shortfall(0); share != 0 || n != 0 {
		t.Errorf("%v of no turns", share)
	}
	l.add(10_128, 5_000, 11_000, 0)
	l.add(10_128, 10_128, 11_000, 0)
	if share, n := l.shortfall(0); share != 0.25 || n != 2 {
		t.Errorf("a shortfall of %v from %v turns, want 0.25 of 2", share, n)
	}
	if share, n := l.shortfall(fadeMs); math.Abs(share-0.25) > 1e-9 || math.Abs(n-2/math.E) > 1e-9 {
		t.Errorf("after 30 s: %v from %v turns", share, n)
	}
	l.add(10_128, 10_128, 11_000, 5*fadeMs)
	if share, _ := l.shortfall(5 * fadeMs); share > 0.01 {
		t.Errorf("%v long after a loss", share)
	}
	if share, n := l.shortfall(1_000 * fadeMs); share != 0 || n != 0 {
		t.Errorf("%v from %v turns long ago", share, n)
	}
}

// What is left fades evenly, over short times and long ones.
func TestFadeAfter(t *testing.T) {
	for _, ms := range []int64{-5, 0, 1, 63, 64, 65, fadeMs, 1_000 * fadeMs} {
		if got, want := fadeAfter(ms), math.Exp(-max(0, float64(ms))/fadeMs); got != want {
			t.Errorf("%v is left after %d ms, want %v", got, ms, want)
		}
	}
}
