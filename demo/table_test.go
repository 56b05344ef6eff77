package demo

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	d := tableData{
		affinity: true, age: 42 * time.Second, names: []string{"vllm-0", "vllm-1", "vllm-2"},
		states: map[string]string{"vllm-0": "up", "vllm-1": "down"}, sessions: []int{15, 0, 21},
	}
	for range 95 {
		d.turns = append(d.turns, answered("vllm-0", true, 1000, 951, 16*time.Millisecond))
	}
	d.turns = append(d.turns, answered("vllm-2", true, 1000, 0, 1234*time.Millisecond), answered("vllm-2", false, 9000, 0, time.Minute))
	want := `
0:42  affinity on

server  state      sessions  turns/s  hit rate  TTFT p50  TTFT p99
vllm-0  up         15        9.5      95.1 %    16 ms     16 ms
vllm-1  down       0         0.0      -         -         -
vllm-2  no answer  21        0.2      0.0 %     1.2 s     1.2 s
all                36        9.7      94.1 %    16 ms     1.2 s`
	if got := strings.Join(table(&d), "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// The table and the comparison fit the page, with the widest figures.
func TestWidths(t *testing.T) {
	moved := Moved{Of: 100, Moved: 100}
	r := Result{HitRate: 1, P50: time.Hour, P99: time.Hour, CalmP99: time.Hour, Orphans: moved, Others: moved, Turns: 99999}
	lines := append(compare(&r, &r), legend()...)
	d := tableData{names: []string{"vllm-15"}, states: map[string]string{"vllm-15": "up, draining hard"}, sessions: []int{100}}
	lines = append(lines, table(&d)...)
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > Page {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if rows := MaxUpstreams + len(table(&d)) - 1; rows > 23 {
		t.Errorf("the table can have %d rows, more than fit a terminal of 24 lines", rows)
	}
}
