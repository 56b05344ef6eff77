package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// example has three rounds. HAProxy failed in the second one.
func example() *results {
	return &results{
		row:     &row{name: "json32", title: "example", shows: []measure{{cpu, "CPU"}, {added50, "added"}}},
		columns: []string{"tether", yardstick},
		rounds: map[string][]figures{
			direct:    {{cpu: 1, p50: 10}, {cpu: 2, p50: 20}, {cpu: 3, p50: 30}},
			"tether":  {{cpu: 10, p50: 15}, {cpu: 30, p50: 28}, {cpu: 20, p50: 40}},
			yardstick: {{cpu: 20, p50: 20}, nil, {cpu: 10, p50: 34}},
		},
		failures: map[string]error{yardstick: errors.New("cause")},
	}
}

func TestSeries(t *testing.T) {
	r := example()
	for _, c := range []struct {
		column, key string
		want        []float64
	}{
		{"tether", cpu, []float64{10, 30, 20}},
		{"tether", added50, []float64{5, 8, 10}},
		{yardstick, added50, []float64{10, 4}},
		{"tether", "unknown", nil},
		{"unknown", cpu, nil},
	} {
		if got := r.series(c.column, c.key); !slices.Equal(got, c.want) {
			t.Errorf("%s of %s: %v, want %v", c.key, c.column, got, c.want)
		}
	}
}

// A round counts for a ratio if both columns have the figure.
func TestRatios(t *testing.T) {
	if got, want := example().ratios("tether", yardstick, cpu), []float64{0.5, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := example().ratios("tether", yardstick, added50), []float64{0.5, 2.5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := example().ratios("tether", "absent", cpu); got != nil {
		t.Errorf("got %v with an absent column", got)
	}
}

func TestSpreadOf(t *testing.T) {
	if got, is := spreadOf([]float64{3, 1, 2}); !is || got != (spread{2, 1, 3}) {
		t.Errorf("got %v, %v", got, is)
	}
	if got, is := spreadOf([]float64{4, 1, 2, 3}); !is || got != (spread{2.5, 1, 4}) {
		t.Errorf("got %v, %v", got, is)
	}
	if _, is := spreadOf(nil); is {
		t.Error("nothing has a median")
	}
}

// A tool that is not installed breaks nothing.
func TestBroken(t *testing.T) {
	if r := example(); !r.broken() {
		t.Error("a failed column breaks nothing")
	}
	r := example()
	r.failures = map[string]error{"tether": fmt.Errorf("calls: %w", errNoStrace)}
	if r.broken() {
		t.Error("a tool that is not installed breaks the comparison")
	}
}
