package balance

import (
	"math"
	"testing"
	"time"
)

func TestWork(t *testing.T) {
	for _, c := range [][3]int64{{0, 0, 64}, {64, 0, 64}, {65, 0, 65}, {20_000, 0, 20_000}, {20_000, 19_000, 1000}, {20_000, 19_999, 64}, {1000, 90_000, 64}, {1000, -5, 1000}} {
		if got := Work(c[0], c[1]); got != c[2] {
			t.Errorf("%d tokens, %d cached: %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestKept(t *testing.T) {
	for prompt, want := range map[int64]int64{0: 0, 1: 0, 20_000: 16_000} {
		if got := Kept(prompt); got != want {
			t.Errorf("%d tokens: %d, want %d", prompt, got, want)
		}
	}
}

func TestBacklog(t *testing.T) {
	for _, c := range []struct {
		uncomputed           int64
		requests, rate, want float64
	}{{0, 0, 16_000, 0}, {5000, 0, 16_000, 5000}, {5000, 3, 16_000, 9800}, {0, 2.5, 32_000, 8000}} {
		if got := Backlog(c.uncomputed, c.requests, c.rate); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// With 16,000 tokens a second home may be 16,000 tokens busier.
func TestStaysHome(t *testing.T) {
	for _, c := range []struct {
		home, best float64
		want       bool
	}{{0, 0, true}, {16_000, 0, true}, {16_001, 0, false}, {116_000, 100_000, true}, {116_001, 100_000, false}, {0, 5, true}} {
		if got := StaysHome(c.home, c.best, 16_000); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// With 16,000 tokens a second and moves at 6 s, a pinned upstream may be 96,000 tokens busier, and twice what it has cached.
func TestStaysPinned(t *testing.T) {
	for _, c := range []struct {
		pinned, best float64
		cached       int64
		move         Move
		want         bool
	}{
		{0, 0, 0, defaultMove, true},
		{96_000, 0, 0, defaultMove, true},
		{96_001, 0, 0, defaultMove, false},
		{134_000, 0, 19_000, defaultMove, true},
		{134_001, 0, 19_000, defaultMove, false},
		{144_000, 10_000, 19_000, defaultMove, true},
		{144_001, 10_000, 19_000, defaultMove, false},
		{38_001, 0, 19_000, 0, false},
		{1e12, 0, 0, Never, true},
	} {
		if got := StaysPinned(c.pinned, c.best, c.cached, 16_000, c.move); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestIsGone(t *testing.T) {
	for _, c := range []struct {
		charged, capacity int64
		want              bool
	}{{900_000, 1_000_000, false}, {900_001, 1_000_000, true}, {0, 1, false}, {1 << 60, 0, false}} {
		if got := IsGone(c.charged, c.capacity); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestPatience(t *testing.T) {
	for _, c := range []struct {
		work int64
		rate float64
		pace time.Duration
		want time.Duration
	}{
		{0, 32_000, 0, 10 * time.Second},
		{64, 32_000, 0, 10*time.Second + 4*time.Millisecond},
		{16_000, 16_000, 0, 12 * time.Second},
		{16_000, 16_000, 5 * time.Second, 32 * time.Second},
		{math.MaxInt64, 10, math.MaxInt64, time.Hour},
	} {
		if got := Patience(c.work, c.rate, c.pace); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
