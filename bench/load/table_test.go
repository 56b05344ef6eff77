package main

import (
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	s := &scenario{name: "chats", figures: map[string]figures{
		"hash": {hits: 99.95, work: 1.096, inFlight: 1.3, mean: 2, p50: 1, p90: 7.234, p99: 15.4},
		judged: {hits: 100, moved: 8.3},
	}, goals: []goal{{"moved per 1,000", 8, false, value(func(f figures) float64 { return f.moved })}}}
	var out strings.Builder
	s.print(&out, []contender{{name: "hash"}})
	if want := "| hash | 100.0 | 1.10 | 1.30 | 2.00 | 1.00 | 7.23 | 15.40 | 0.0 |\n"; !strings.HasPrefix(out.String(), "\n**chats**\n\n| policy |") ||
		!strings.HasSuffix(out.String(), want) {
		t.Errorf("%s, want at the end %s", &out, want)
	}
	out.Reset()
	if missed := printGoals(&out, []*scenario{s}); missed != 1 || !strings.HasSuffix(out.String(), "| chats | moved per 1,000 | 8.3 | <= 8 | missed |\n") {
		t.Errorf("%d missed: %s", missed, &out)
	}
}
