package main

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// figures are what one measurement found, by key.
type figures map[string]float64

// results are the figures of a row: by column, one for each round.
type results struct {
	row *row
	// columns are those that were measured, without direct.
	columns []string
	// rounds are by column. A failed measurement has no figures.
	rounds map[string][]figures
	// failures are the first errors of columns.
	failures map[string]error
}

func newResults(r *row, columns []string) *results {
	measured := slices.DeleteFunc(slices.Clone(columns), func(name string) bool { return name == direct })
	return &results{row: r, columns: measured, rounds: map[string][]figures{}, failures: map[string]error{}}
}

// value returns a figure of a column in a round, and false if it was not measured. What is added is the difference to the direct run in the
// same round.
func (r *results) value(column string, round int, key string) (float64, bool) {
	if round >= len(r.rounds[column]) {
		return 0, false
	}
	whole, added := strings.CutPrefix(key, "added ")
	v, is := r.rounds[column][round][whole]
	if added && is {
		var base float64
		base, is = r.value(direct, round, whole)
		v -= base
	}
	return v, is
}

// series returns a figure of a column in each round that has it.
func (r *results) series(column, key string) (values []float64) {
	for i := range r.rounds[column] {
		if v, is := r.value(column, i, key); is {
			values = append(values, v)
		}
	}
	return values
}

// ratios returns the ratios of a figure between two columns, one for each round that has both.
func (r *results) ratios(column, base, key string) (values []float64) {
	return ratios(r, r, column, base, key)
}

// ratios returns the ratios of a figure between a column of one row and a column of another, one for each round that has both.
func ratios(of, over *results, column, base, key string) (values []float64) {
	for i := range of.rounds[column] {
		v, is := of.value(column, i, key)
		b, also := over.value(base, i, key)
		if is && also && b > 0 {
			values = append(values, v/b)
		}
	}
	return values
}

// spread is the median of values, with the least and the greatest of them.
type spread struct{ median, least, greatest float64 }

// spreadOf returns the spread of values, and false if there are none.
func spreadOf(values []float64) (spread, bool) {
	if len(values) == 0 {
		return spread{}, false
	}
	s := slices.Sorted(slices.Values(values))
	m := s[len(s)/2]
	if len(s)%2 == 0 {
		m = (m + s[len(s)/2-1]) / 2
	}
	return spread{m, s[0], s[len(s)-1]}, true
}

// failed returns the columns that failed, sorted.
func (r *results) failed() []string { return slices.Sorted(maps.Keys(r.failures)) }

// broken reports whether a column failed for another reason than that this machine lacks a tool.
func (r *results) broken() bool {
	for _, err := range r.failures {
		if !errors.Is(err, errNoStrace) {
			return true
		}
	}
	return false
}
