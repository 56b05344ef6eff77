package main

import (
	"strings"
	"testing"
)

func TestPrintRow(t *testing.T) {
	var out strings.Builder
	printRow(&out, example(), []string{"tether"})
	want := `
**example**

| | direct | tether | HAProxy | tether / HAProxy |
|---|---|---|---|---|
| CPU | 2.00 (1.00..3.00) | 20.0 (10.0..30.0) | 15.0 (10.0..20.0) | 1.25 (0.50..2.00) |
| added | 20.0 (10.0..30.0) | 8.00 (5.00..10.0) | 7.00 (4.00..10.0) | 1.50 (0.50..2.50) |

HAProxy failed: cause
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// A column without figures is empty.
func TestPrintRowOfFailedColumn(t *testing.T) {
	var out strings.Builder
	r := example()
	r.rounds["tether"] = []figures{nil, nil, nil}
	printRow(&out, r, []string{"tether"})
	if !strings.Contains(out.String(), "| CPU | 2.00 (1.00..3.00) | - | 15.0 (10.0..20.0) | - |") {
		t.Errorf("got\n%s", out.String())
	}
}
