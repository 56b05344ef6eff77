package demo

import (
	"math"
	"testing"
	"time"
)

func answered(server string, later bool, prompt, cached int, ttft time.Duration) turn {
	return turn{reply: reply{server: server, prompt: prompt, cached: cached, ttft: ttft}, later: later}
}

func TestSummary(t *testing.T) {
	turns := []turn{
		answered("a", false, 1000, 0, time.Second), // a first turn counts as an answer, and in no other figure
		answered("a", true, 100, 90, 30*time.Millisecond),
		answered("a", true, 300, 270, 10*time.Millisecond),
		answered("b", true, 100, 0, 50*time.Millisecond),
	}
	a, all, none := summarize(turns, "a"), summarize(turns, ""), summarize(turns, "c")
	if a.answers != 3 || a.hitRate() != 0.9 || a.percentile(0.5) != 10*time.Millisecond || a.percentile(0.99) != 30*time.Millisecond {
		t.Errorf("%+v: %v", a, a.hitRate())
	}
	if all.answers != 4 || all.hitRate() != 0.72 || all.percentile(0.5) != 30*time.Millisecond || all.percentile(0.99) != 50*time.Millisecond {
		t.Errorf("%+v: %v", all, all.hitRate())
	}
	if none.answers != 0 || !math.IsNaN(none.hitRate()) || none.percentile(0.5) >= 0 {
		t.Errorf("%+v", none)
	}
}

// Percentiles take the nearest rank: two of 200 times are above the 99th.
func TestPercentiles(t *testing.T) {
	var s summary
	for i := range 200 {
		s.ttft = append(s.ttft, time.Duration(i+1))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := s.percentile(q); got != want {
			t.Errorf("%v: %d, want %d", q, got, want)
		}
	}
}

func TestTurnLog(t *testing.T) {
	start := time.Now()
	var l turnLog
	if got := l.since(start); len(got) != 0 {
		t.Errorf("an empty log has %v", got)
	}
	for i := range 10 {
		l.turns = append(l.turns, turn{at: start.Add(time.Duration(i) * time.Second), reply: reply{prompt: i}})
	}
	fifth := start.Add(5 * time.Second)
	if got := l.since(fifth); len(got) != 5 || got[0].prompt != 5 {
		t.Errorf("%v", got)
	}
	if i := firstAt(l.turns, fifth); i != 5 {
		t.Errorf("first turn at %d, want 5", i)
	}
	if len(l.since(start)) != 10 {
		t.Error("since changes the log")
	}
	l.forget(fifth)
	if got := l.since(start); len(got) != 5 || got[0].prompt != 5 {
		t.Errorf("%v", got)
	}
	l.add(reply{prompt: 10, text: "not kept"}, true)
	if got := l.since(start); len(got) != 6 || got[5].prompt != 10 || got[5].text != "" || !got[5].later || got[5].at.Before(start) {
		t.Errorf("%v", got)
	}
}
