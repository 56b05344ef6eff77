package health

import (
	"testing"

	"tether/failure"
	"tether/upstream"
)

func TestTally(t *testing.T) {
	const (
		ok   = succeeded
		conn = failedConnection
		bad  = wrongAnswer
		slow = timedOut
		none = noEvidence
		zzz  = asleep
	)
	for _, c := range []struct {
		name    string
		results []result
		want    []upstream.Health
	}{
		{"first success", []result{ok}, []upstream.Health{upstream.Up}},
		{"first failed connection", []result{conn}, []upstream.Health{upstream.Down}},
		{"first wrong answer", []result{bad}, []upstream.Health{upstream.Down}},
		{"first two timeouts", []result{slow, slow}, []upstream.Health{upstream.Unknown, upstream.TimedOut}},
		{"first timeout, then success", []result{slow, ok}, []upstream.Health{upstream.Unknown, upstream.Up}},
		{"first timeout, then wrong answer", []result{slow, bad}, []upstream.Health{upstream.Unknown, upstream.Down}},
		{"no evidence first", []result{none, ok}, []upstream.Health{upstream.Unknown, upstream.Up}},
		{"fall 3", []result{ok, bad, bad, bad}, []upstream.Health{upstream.Up, upstream.Up, upstream.Up, upstream.Down}},
		{"failed connections count double", []result{ok, conn, conn}, []upstream.Health{upstream.Up, upstream.Up, upstream.Down}},
		{"one and a failed connection", []result{ok, bad, conn}, []upstream.Health{upstream.Up, upstream.Up, upstream.Down}},
		{"a success between", []result{ok, bad, bad, ok, bad, bad}, []upstream.Health{upstream.Up, upstream.Up, upstream.Up, upstream.Up, upstream.Up, upstream.Up}},
		{"no evidence between", []result{ok, slow, none, slow, none, slow}, []upstream.Health{upstream.Up, upstream.Up, upstream.Up, upstream.Up, upstream.Up, upstream.TimedOut}},
		{"timeouts alone", []result{ok, slow, slow, slow}, []upstream.Health{upstream.Up, upstream.Up, upstream.Up, upstream.TimedOut}},
		{"not by timeouts alone", []result{ok, slow, bad, slow}, []upstream.Health{upstream.Up, upstream.Up, upstream.Up, upstream.Down}},
		{"timeouts, then refused", []result{ok, slow, slow, slow, conn}, []upstream.Health{upstream.Up, upstream.Up, upstream.Up, upstream.TimedOut, upstream.Down}},
		{"down stays down by timeouts", []result{conn, slow, slow, slow}, []upstream.Health{upstream.Down, upstream.Down, upstream.Down, upstream.Down}},
		{"rise 2", []result{conn, ok, ok}, []upstream.Health{upstream.Down, upstream.Down, upstream.Up}},
		{"a failure on the way up", []result{conn, ok, bad, ok, ok}, []upstream.Health{upstream.Down, upstream.Down, upstream.Down, upstream.Down, upstream.Up}},
		{"old successes do not count", []result{ok, ok, ok, conn, conn, ok, ok}, []upstream.Health{upstream.Up, upstream.Up, upstream.Up, upstream.Up, upstream.Down, upstream.Down, upstream.Up}},
		{"asleep first", []result{zzz, ok}, []upstream.Health{upstream.Down, upstream.Up}},
		{"asleep", []result{ok, zzz, zzz, ok}, []upstream.Health{upstream.Up, upstream.Down, upstream.Down, upstream.Up}},
		{"asleep, then silence", []result{ok, zzz, none, ok}, []upstream.Health{upstream.Up, upstream.Down, upstream.Down, upstream.Up}},
		{"asleep, then refused", []result{ok, zzz, conn, ok, ok}, []upstream.Health{upstream.Up, upstream.Down, upstream.Down, upstream.Down, upstream.Up}},
		{"timeouts, then asleep", []result{ok, slow, slow, slow, zzz, slow}, []upstream.Health{upstream.Up, upstream.Up, upstream.Up, upstream.TimedOut, upstream.Down, upstream.Down}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tally tally
			for i, r := range c.results {
				if got := tally.note(r, 2, 3); got != c.want[i] {
					t.Fatalf("after %d results: %d, want %d", i+1, got, c.want[i])
				}
			}
		})
	}
}

// What was counted under other settings counts on.
func TestTallyGoesOnOverAChange(t *testing.T) {
	var tally tally
	steps := []struct {
		result     result
		rise, fall int
		want       upstream.Health
	}{
		{succeeded, 2, 3, upstream.Up},
		{wrongAnswer, 2, 3, upstream.Up},
		{wrongAnswer, 2, 2, upstream.Down}, // the second in a row
		{succeeded, 3, 2, upstream.Down},
		{succeeded, 3, 2, upstream.Down},
		{succeeded, 2, 2, upstream.Up}, // the third in a row
		{wrongAnswer, 2, 9, upstream.Up},
	}
	for i, s := range steps {
		if got := tally.note(s.result, s.rise, s.fall); got != s.want {
			t.Fatalf("step %d: %d, want %d", i, got, s.want)
		}
	}
}

// Every kind of failure is a result that health knows, and no success.
func TestFailuresAreResults(t *testing.T) {
	for k := range failure.Kind(failure.Count) {
		r := result(k.ProbeWord())
		if (r == succeeded) != (k == failure.None) || reasons[r] == "" {
			t.Errorf("%v: %s", k, r)
		}
	}
}
