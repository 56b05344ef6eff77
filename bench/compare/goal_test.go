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
	if missed := printGoals(&out, []*results{r}); missed != 1 {
		t.Errorf("%d floors are missed, want 1", missed)
	}
	for _, want := range []string{
		"| CPU per JSON request, 32 clients, epoll | 0.65 | 0.95 | met | 0.80 | met |",
		"| CPU per JSON request, 32 clients, io_uring | 0.95 | 0.80 | missed | 0.62 | missed |",
		"| light load, whole request, p50 | not run | 1.10 | |  | |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no line %s in\n%s", want, out.String())
		}
	}
}
