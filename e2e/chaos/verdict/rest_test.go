package verdict

import (
	"testing"

	"tether/e2e/chaos/ledger"
)

func TestRest(t *testing.T) {
	check(t, []change{
		{"more than the limit", func(l *ledger.Ledger) { l.Figures[0].End = 41 }, "rest", "goroutines: 41 at the end"},
		{"a process did not start", func(l *ledger.Ledger) { l.Broken = []string{"kill of vllm-0: it ended"} }, "rest", "it ended"},
		{"no client", func(l *ledger.Ledger) { *l = ledger.Ledger{} }, "rest", "no client"},
	})
}
