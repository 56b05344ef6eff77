package loop

import (
	"testing"
	"time"
)

func TestPaceRestsWithoutWork(t *testing.T) {
	var p pace
	begin := time.Now()
	for _, tt := range []struct {
		name   string
		after  time.Duration
		worked bool
		want   bool
	}{
		{"work", 0, true, false},
		{"an interrupted wait", restTime / 2, false, false},
		{"no work for the whole time", restTime, false, true},
		{"no work for longer", 2 * restTime, false, true},
		{"work again", 2*restTime + 1, true, false},
	} {
		if got := p.rests(begin.Add(tt.after), tt.worked); got != tt.want {
			t.Errorf("%s: rests %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestPaceYieldsNowAndThen(t *testing.T) {
	var p pace
	begin := time.Now()
	for i, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {1, false}, {yieldTime - 1, false}, {yieldTime, true}, {2*yieldTime - 1, false}, {5 * yieldTime, true}} {
		if got := p.yields(begin.Add(tt.after)); got != tt.want {
			t.Errorf("%d: yields after %s %t, want %t", i, tt.after, got, tt.want)
		}
	}
}

// A yield comes before the scheduler interrupts the goroutine, even if it comes after a whole wait that begins just before it is due.
func TestPaceYieldsBeforeTheSchedulerInterrupts(t *testing.T) {
	const interrupts = 10 * time.Millisecond
	var l limits
	if longest := yieldTime + l.timeout(false, false, yieldTime); longest >= interrupts {
		t.Errorf("a loop goes without a yield for %s, want less than %s", longest, interrupts)
	}
}
