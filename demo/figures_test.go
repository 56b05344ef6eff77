package demo

import (
	"math"
	"testing"
	"time"
)

func answered(server string, later bool, prompt, cached int, first time.Duration) turn {
	return turn{reply: reply{server: server, prompt: prompt, cached: cached, first: first}, later: later}
}

func TestSummary(t *testing.T) {
	turns := []turn{
		answered("a", false, 1000, 0, time.Second), // a first turn: counted, and in no other figure
		answered("a", true, 100, 90, 30*time.Millisecond),
		answered("a", true, 300, 270, 10*time.Millisecond),
		answered("b", true, 100, 0, 50*time.Millisecond),
	}
	a, all, none := summarise(turns, "a"), summarise(turns, ""), summarise(turns, "c")
	if a.answers != 3 || a.hitRate() != 0.9 || a.first(0.5) != 10*time.Millisecond || a.first(0.99) != 30*time.Millisecond {
		t.Errorf("%+v: %v", a, a.hitRate())
	}
	if all.answers != 4 || all.hitRate() != 0.72 || all.first(0.5) != 30*time.Millisecond || all.first(0.99) != 50*time.Millisecond {
		t.Errorf("%+v: %v", all, all.hitRate())
	}
	if none.answers != 0 || !math.IsNaN(none.hitRate()) || none.first(0.5) >= 0 {
		t.Errorf("%+v", none)
	}
}

// The nearest rank: of 200 times, two are above the 99th percentile.
func TestPercentiles(t *testing.T) {
	var s summary
	for i := range 200 {
		s.firsts = append(s.firsts, time.Duration(i+1))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := s.first(q); got != want {
			t.Errorf("%v: %d, want %d", q, got, want)
		}
	}
}

func TestSinceForgetBefore(t *testing.T) {
	start := time.Now()
	var f figures
	if f.since(start) != nil {
		t.Error("turns of nobody")
	}
	for i := range 10 {
		f.turns = append(f.turns, turn{at: start.Add(time.Duration(i) * time.Second), reply: reply{prompt: i}})
	}
	fifth := start.Add(5 * time.Second)
	if got := f.since(fifth); len(got) != 5 || got[0].prompt != 5 {
		t.Errorf("%v", got)
	}
	if got := before(f.since(start), fifth); len(got) != 5 || got[4].prompt != 4 {
		t.Errorf("%v", got)
	}
	if len(f.since(start)) != 10 {
		t.Error("looking changed it")
	}
	f.forget(fifth)
	if got := f.since(start); len(got) != 5 || got[0].prompt != 5 {
		t.Errorf("%v", got)
	}
}

func TestTrouble(t *testing.T) {
	var f figures
	f.broke()
	f.failed()
	f.failed()
	if broken, failed := f.trouble(); broken != 1 || failed != 2 {
		t.Errorf("%d broken, %d failed", broken, failed)
	}
}
