package top

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tether/status"
)

var styles = regexp.MustCompile("\x1b\\[[0-9]*m")

func ptr[T any](v T) *T { return &v }

// fleet is the status of n upstreams.
func fleet(n int) status.Status {
	at := time.Date(2026, 11, 28, 18, 3, 22, 0, time.Local)
	s := status.Status{Past: status.History{Upstreams: map[string]status.Line{}}}
	s.Now = status.Snapshot{
		At: at, Started: at.Add(-3 * time.Hour), Version: "v1", Placement: "load", Rate: 45.2, InFlight: 12,
		Minute: status.Figures{
			Outcomes: map[string]uint64{"pinned": 990, "moved": 8, "spilled": 2, "new": 50}, Tokens: map[string]int64{"hit": 880, "new": 120}, Reported: 1000,
			P50: ptr(17.0), P99: ptr(1395.0), Saved: ptr(310.0), Errors: 3,
		},
	}
	for i := range n {
		name := fmt.Sprintf("vllm-%d", i)
		s.Now.Upstreams = append(s.Now.Upstreams, status.Upstream{
			Name: name, State: "up", Health: "up", Live: 10 * i, Pinned: 10*i + 5, InFlight: int64(i), Backlog: 0.61, Rate: float64(i),
			Minute: status.Figures{P50: ptr(17.4), P99: ptr(332.0), Reported: 1000, Tokens: map[string]int64{"hit": 995}}, Running: ptr(int64(4)), Waiting: ptr(int64(0)), KVUsage: ptr(0.13),
		})
		s.Past.Upstreams[name] = status.Line{Requests: []uint32{0, 0, 0, 0, 0, 0, 10, 10, 10, 10, 10, 10}}
	}
	for i := range 20 {
		s.Past.Events = append(s.Past.Events, status.Event{At: at.Add(time.Duration(i) * time.Second), Kind: "up", Upstream: "vllm-1", Text: fmt.Sprintf("event %d", i)})
	}
	return s
}

func plain(lines []string) string { return styles.ReplaceAllString(strings.Join(lines, "\n"), "") }

// A wide terminal shows all there is.
func TestLines(t *testing.T) {
	s := fleet(3)
	s.Now.Upstreams[1] = status.Upstream{Name: "vllm-1", State: "down", Health: "down", Pinned: 7}
	s.Past.Events = s.Past.Events[:2]
	v := View{Status: s, Width: 140}
	want := `tether v1  up 3 h  placement load  18:03:22  live
45 requests/s  12 in flight  20 live conversations  99.0 % stayed  88 % of prompts cached  first byte 17 ms, p99 1.4 s  prefill saved 310 s
3 errors

UPSTREAM  STATE  LIVE  IDLE  FLIGHT   WORK  REQ/S  15 MIN             P50     P99  RUN  WAIT    KV     HIT  ERR
vllm-0    up        0     5       0  0.6 s      0               ▁█  17 ms  332 ms    4     0  13 %  99.5 %    0
vllm-1    down      0     7       0  0.0 s      0               ▁█      -       -    -     -     -       -    0
vllm-2    up       20     5       2  0.6 s    2.0               ▁█  17 ms  332 ms    4     0  13 %  99.5 %    0

EVENTS
18:03:23  vllm-1  event 1
18:03:22  vllm-1  event 0
q quit  p pause  s sort`
	got := plain(v.Lines())
	want = strings.ReplaceAll(want, "99.0 %", "99 %")
	want = strings.ReplaceAll(want, "saved 310 s", "saved 5 min")
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
}

// However small the terminal is, and whatever the names are, no line is too long, and there are no more lines than places.
func TestEveryTerminalIsEnough(t *testing.T) {
	hostile := fleet(60)
	hostile.Now.Upstreams[0].Name = "\x1b[2J\x07\u202e" + strings.Repeat("x", 10_000)
	hostile.Past.Events[19].Text = "\x1b]0;owned\x07" + strings.Repeat("é", 10_000)
	hostile.Now.Version = "\x1b[31m"
	for _, s := range []status.Status{{}, fleet(0), fleet(1), fleet(4), hostile} {
		for _, width := range []int{0, 20, 40, 60, 80, 100, 140, 300} {
			for _, height := range []int{0, 1, 5, 10, 24, 50, 100} {
				v := View{Status: s, Width: width, Height: height, Problem: "\x1b[0mno answer", First: 3, Busiest: true}
				v.Problem = clean(v.Problem)
				lines := v.Lines()
				if height >= 10 && len(lines) > height {
					t.Errorf("%dx%d: %d lines", width, height, len(lines))
				}
				for _, line := range lines {
					text := styles.ReplaceAllString(line, "")
					if n := utf8.RuneCountInString(text); n > max(width, minWidth) {
						t.Errorf("%dx%d: %d columns: %s", width, height, n, text)
					}
					if strings.ContainsAny(text, "\x1b\x07\u202e\n") {
						t.Errorf("%q", text)
					}
				}
			}
		}
	}
}

// A terminal of 24 lines shows upstreams and events. Scrolling and sorting choose which upstreams.
func TestScrolling(t *testing.T) {
	v := View{Status: fleet(40), Width: 80, Height: 24}
	text := plain(v.Lines())
	if !strings.Contains(text, "vllm-0 ") || strings.Contains(text, "vllm-30 ") || !strings.Contains(text, "event 19") || !strings.Contains(text, "up/down scroll, 1 of 40") {
		t.Error(text)
	}
	v.First = 30
	if text := plain(v.Lines()); strings.Contains(text, "vllm-0 ") || !strings.Contains(text, "vllm-30 ") || !strings.Contains(text, "31 of 40") {
		t.Error(text)
	}
	v.First, v.Busiest = 0, true
	if text := plain(v.Lines()); strings.Contains(text, "vllm-0 ") || !strings.Contains(text, "vllm-39 ") {
		t.Error(text)
	}
}

// The head says that the figures are old, and why.
func TestProblem(t *testing.T) {
	v := View{Status: fleet(1), Width: 80, Problem: "connection refused"}
	if text := plain(v.Lines()); !strings.Contains(text, "no answer\nconnection refused\n") {
		t.Error(text)
	}
	v.Problem, v.Paused = "", true
	if text := plain(v.Lines()); !strings.Contains(text, "  paused\n") {
		t.Error(text)
	}
}
