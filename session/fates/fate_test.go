package fates

import (
	"testing"

	"tether/session/balance"
)

// The reasons of package balance keep their numbers and words, and all words differ.
func TestWords(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reason(ReasonCount) {
		if seen[r.String()] || r > 0 && r.String() == "" {
			t.Errorf("reason %d: %q", r, r)
		}
		seen[r.String()] = true
	}
	for r := range balance.Reason(len(balance.Reasons)) {
		if Reason(r).String() != r.String() {
			t.Errorf("reason %d is %q, and %q in package balance", r, Reason(r), r)
		}
	}
	for f := range Fate(Count) {
		if seen[f.String()] || f.String() == "" {
			t.Errorf("fate %d: %q", f, f)
		}
		seen[f.String()] = true
	}
}
