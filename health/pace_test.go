package health

import (
	"testing"
	"time"
)

// Times are spread over a tenth of the interval to either side, and lie on few beats.
func TestAgain(t *testing.T) {
	const interval, ms = 5 * time.Second, time.Millisecond
	began := time.Now()
	least, most, seen := time.Hour, time.Duration(0), map[int64]int{}
	for range 10_000 {
		at := again(began, interval)
		least, most = min(least, at.Sub(began)), max(most, at.Sub(began))
		seen[at.UnixNano()]++
	}
	if least < 4500*ms || least > 4600*ms || most < 5400*ms || most > 5500*ms {
		t.Errorf("%v..%v, want 4.5s..5.5s", least, most)
	}
	if len(seen) < 9 || len(seen) > 10 {
		t.Errorf("%d beats within a fifth of the interval, want 9 or 10", len(seen))
	}
	for at, n := range seen {
		if at%int64(interval/beats) != 0 || n > 2000 {
			t.Errorf("%d of 10,000 times %v after a beat", n, time.Duration(at%int64(interval/beats)))
		}
	}
}

// A time on a beat belongs to the beat before: the next one is a whole beat later. The result keeps the reading of the monotonic clock.
func TestOnBeat(t *testing.T) {
	beat := time.Unix(1000, 0)
	for after, want := range map[int64]int64{0: 100, 1: 99, 99: 1, 100: 100} {
		from := beat.Add(time.Duration(after * 1e6))
		if got := onBeat(from, 100*time.Millisecond).Sub(from).Milliseconds(); got != want {
			t.Errorf("%d ms after a beat the next one is %d ms away, want %d", after, got, want)
		}
	}
	now := time.Now()
	if at := onBeat(now, time.Hour); at == at.Round(0) {
		t.Error("the time has no reading of the monotonic clock")
	}
}
