package main

import (
	"strings"
	"testing"
	"time"

	"tether/e2e/chaos/ledger"
)

// The report counts each request once for each kind of fault that it met, and once in all.
func TestReport(t *testing.T) {
	now := time.Now()
	turn := func(id string, result ledger.Result, affinity string) ledger.Turn {
		return ledger.Turn{ID: id, Start: now, End: now.Add(time.Second), Result: result, Affinity: affinity}
	}
	l := &ledger.Ledger{
		Turns:    []ledger.Turn{turn("a", ledger.Whole, "pinned"), turn("b", ledger.Whole, "moved"), turn("c", ledger.Cut, "pinned"), turn("d", ledger.Whole, "spilled")},
		Attempts: []ledger.Attempt{{ID: "b", Server: "vllm-1"}, {ID: "c", Server: "vllm-1"}, {ID: "a", Server: "vllm-0"}},
		Events: []ledger.Event{
			{Kind: "kill", Server: "vllm-1", From: now, To: now.Add(time.Minute)},
			{Kind: "kill", Server: "vllm-1", From: now, To: now.Add(time.Minute)},
			{Kind: "kill", Server: "vllm-0", From: now.Add(time.Hour), To: now.Add(2 * time.Hour)},
		},
		Figures: []ledger.Figure{{Name: "goroutines", Start: 4, End: 5, Limit: 6}},
	}
	failed := turn("e", ledger.Failed, "none")
	failed.Status, failed.Message = 404, "Response with id 'resp_123' not found."
	l.Turns = append(l.Turns, failed)
	lines := map[string]string{}
	for line := range strings.Lines(report(l)) {
		if f := strings.Fields(line); len(f) > 1 {
			lines[f[0]] = strings.Join(f[1:], " ")
		}
	}
	for name, want := range map[string]string{
		"kill": "3 2 1 1 0 0 1 0 0", "all": "3 5 3 1 1 1 1 0 0", "goroutines:": "4 at the start, 5 at the end, limit 6", "1": "404 Response with id '...",
	} {
		if lines[name] != want {
			t.Errorf("%s: %q, want %q", name, lines[name], want)
		}
	}
}
