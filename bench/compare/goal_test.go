package main

import (
	"strings"
	"testing"
)

func TestPrintGoals(t *testing.T) {
	var out strings.Builder
	r := example()
	r.rounds["tether epoll"] = []figures{{cpu: 8}, {cpu: 9}, {cpu: 9}} // 0.40 and 0.90, median 0.65
	r.rounds["tether uring"] = []figures{{cpu: 20}, {cpu: 9}, {cpu: 9}}
	few := &results{row: &row{name: "upstreams2"}, rounds: map[string][]figures{"tether": {{cpu: 10}, {cpu: 20}, {cpu: 40}}, "HAProxy": {{cpu: 12}}}}
	many := &results{row: &row{name: "upstreams512", with: "upstreams2"}, rounds: map[string][]figures{"tether": {{cpu: 12}, {cpu: 26}, {cpu: 44}}, "HAProxy": {{cpu: 15}}}}
	idle := &results{row: &row{name: "idle10000"}, rounds: map[string][]figures{"tether": {{perConn: 5}}}}
	if missed := printGoals(&out, []*results{r, few, many, idle}, "go"); missed != 3 {
		t.Errorf("%d floors are missed, want 3", missed)
	}
	for _, want := range []string{
		"| CPU per JSON request, 32 clients, epoll | 0.65 | 0.95 | met | 0.80 | met |",
		"| CPU per JSON request, 32 clients, io_uring | 0.95 | 0.80 | missed | 0.62 | missed |",
		"| RSS per idle connection, KB | 5.00 | 4.00 | missed | 1.00 | missed |",
		"| CPU per request, 512 upstreams over 2 | 1.20 (HAProxy: 1.25) | 1.15 | missed | 1.05 | missed |",
		"| light load, whole request, p50 | not run | 1.10 | |  | |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no line %s in\n%s", want, out.String())
		}
	}
}

// A goal for an engine is judged by tether's own column if tether runs that engine.
func TestPrintGoalsOfOwnEngine(t *testing.T) {
	var out strings.Builder
	printGoals(&out, []*results{example()}, "uring") // tether's ratio is 1.25
	if want := "| CPU per JSON request, 32 clients, io_uring | 1.25 | 0.80 | missed | 0.62 | missed |"; !strings.Contains(out.String(), want) {
		t.Errorf("there is no line %s in\n%s", want, out.String())
	}
	if want := "| CPU per JSON request, 32 clients, epoll | not run |"; !strings.Contains(out.String(), want) {
		t.Errorf("there is no line %s in\n%s", want, out.String())
	}
}
