package demo

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	s := scene{
		affinity: true, age: 42 * time.Second, names: []string{"vllm-0", "vllm-1", "vllm-2"},
		states: map[string]string{"vllm-0": "up", "vllm-1": "down"}, sessions: []int{15, 0, 21},
	}
	for range 95 {
		s.turns = append(s.turns, answered("vllm-0", true, 1000, 951, 16*time.Millisecond))
	}
	s.turns = append(s.turns, answered("vllm-2", true, 1000, 0, 1234*time.Millisecond), answered("vllm-2", false, 9000, 0, time.Minute))
	want := `
0:42  affinity on

server  state      sessions  turns/s  hit rate  TTFT p50  TTFT p99
vllm-0  up               15      9.5    95.1 %     16 ms     16 ms
vllm-1  down              0      0.0         -         -         -
vllm-2  no answer        21      0.2     0.0 %     1.2 s     1.2 s
all                      36      9.7    94.1 %     16 ms     1.2 s`
	if got := strings.Join(s.table(), "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// What is said of both worlds fits a page, with the widest figures there are.
func TestWidths(t *testing.T) {
	moved := Moved{100, 100}
	r := Result{HitRate: 1, P50: time.Hour, P99: time.Hour, Calm99: time.Hour, Orphans: moved, Others: moved, Turns: 99999}
	lines := append(compare(&r, &r), legend()...)
	s := scene{names: []string{"vllm-15"}, states: map[string]string{"vllm-15": "up, draining hard"}, sessions: []int{100}}
	lines = append(lines, s.table()...)
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > Page {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if rows := MaxUpstreams + len(s.table()) - 1; rows > 23 {
		t.Errorf("the table can have %d rows, more than a terminal of 24 lines has room for", rows)
	}
}

func TestCompare(t *testing.T) {
	on := Result{
		HitRate: 0.95, P50: 15 * time.Millisecond, P99: 300 * time.Millisecond, Calm99: 18 * time.Millisecond,
		Orphans: Moved{16, 16}, Others: Moved{44, 0}, Turns: 511, Broken: 3,
	}
	off := Result{
		HitRate: 0.46, P50: 266 * time.Millisecond, P99: 374 * time.Millisecond, Calm99: 370 * time.Millisecond,
		Orphans: Moved{14, 14}, Others: Moved{46, 45}, Turns: 469,
	}
	want := `
                                                  affinity on  affinity off
hit rate: prompt tokens cached, of all *               95.0 %        46.0 %
time to first token, p50 *                              15 ms        266 ms
time to first token, p99 until a server died *          18 ms        370 ms
time to first token, p99 in all *                      300 ms        374 ms
moved, of the conversations on the dead server       16 of 16      14 of 14
moved, of the conversations on the others             0 of 44      45 of 46
turns answered                                            511           469
answers that broke off, and were asked for again            3             0
requests that failed                                        0             0
* of second and later turns: the prompt of a first one is cached nowhere`
	if got := strings.Join(compare(&on, &off), "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if err := broken(&on, &off); err != nil {
		t.Error(err)
	}
}

func TestBrokenPromises(t *testing.T) {
	held := Result{HitRate: 0.9, Orphans: Moved{16, 16}, Others: Moved{44, 0}}
	off := Result{HitRate: 0.4}
	for want, change := range map[string]func(*Result){
		"a server died, and 1 of 44 conversations on other servers moved, want none": func(r *Result) { r.Others.Moved = 1 },
		"a server died, and only 15 of 16 of its conversations moved":                func(r *Result) { r.Orphans.Moved = 15 },
		"1 request failed with a server alive":                                       func(r *Result) { r.Failed = 1 },
		"the hit rate is 40.0 % with affinity and 40.0 % without":                    func(r *Result) { r.HitRate = off.HitRate },
	} {
		on := held
		change(&on)
		if err := broken(&on, &off); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
