package limit

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRate(t *testing.T) {
	var r Rate
	now := time.Unix(1e9, 0)
	if r.TakeToken(now) != 0 || r.Wait(now) != 0 {
		t.Error("waits without a limit")
	}
	r.PerMinute(6)
	for n := range 6 {
		if wait := r.TakeToken(now); wait != 0 {
			t.Errorf("request %d of 6 waits %v", n+1, wait)
		}
	}
	if wait := r.TakeToken(now); wait != 10*time.Second || r.Wait(now) != wait {
		t.Errorf("the seventh waits %v, want 10s", wait)
	}
	if wait := r.TakeToken(now.Add(9 * time.Second)); wait != time.Second {
		t.Errorf("after 9 s it waits %v, want 1s", wait)
	}
	if r.TakeToken(now.Add(10*time.Second)) != 0 || r.TakeToken(now.Add(10*time.Second)) == 0 {
		t.Error("after 10 s, want exactly one token")
	}
	now = now.Add(time.Hour)
	for n := range 6 {
		if r.TakeToken(now) != 0 {
			t.Errorf("after a pause request %d of 6 waits", n+1)
		}
	}
	if r.Wait(now) == 0 {
		t.Error("a pause saves more than a minute's tokens")
	}
	if wait := r.TakeToken(now.Add(-24 * time.Hour)); wait != 0 {
		t.Errorf("the clock was set back, and a request waits %v", wait)
	}
	r.PerMinute(0)
	if r.TakeToken(now) != 0 {
		t.Error("the limit is gone, and a request waits")
	}
}

// Whenever requests arrive, no span of time has more of them than the tokens of that span and of one minute, and a wait that is kept
// ends with a token.
func TestRateKeepsItsLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Rate
		n := rapid.IntRange(1, 100).Draw(t, "per minute")
		r.PerMinute(n)
		now := time.Unix(1e9, 0)
		var taken []time.Time
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "gap")))
			wait := r.TakeToken(now)
			if wait == 0 {
				taken = append(taken, now)
			} else if rapid.Bool().Draw(t, "wait") {
				if now = now.Add(wait); r.TakeToken(now) != 0 {
					t.Fatalf("after a wait of %v there is no token", wait)
				}
				taken = append(taken, now)
			}
		}
		for i, first := range taken {
			for k, last := range taken[i:] {
				if most := float64(n)*last.Sub(first).Minutes() + float64(n) + 1e-6; float64(k+1) > most {
					t.Fatalf("%d requests in %v, want at most %.2f", k+1, last.Sub(first), most)
				}
			}
		}
	})
}

// Many goroutines at once get exactly the tokens that there are.
func TestRateTogether(t *testing.T) {
	const n = 1000
	var r Rate
	r.PerMinute(n)
	now := time.Unix(1e9, 0)
	var got atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range n {
				if r.TakeToken(now) == 0 {
					got.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got.Load() != n {
		t.Errorf("%d tokens, want %d", got.Load(), n)
	}
}
