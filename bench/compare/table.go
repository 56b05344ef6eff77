package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// direct is the column without a proxy: what load and upstreams cost.
const direct = "direct"

// yardstick is the column that ratios are formed with.
const yardstick = "HAProxy"

// printRow prints a row's part of the table in Markdown. tethers are the columns of tether, which are compared if the yardstick ran.
func printRow(out io.Writer, r *results, tethers []string) {
	columns := r.columns
	if r.row.direct() {
		columns = append([]string{direct}, columns...)
	}
	var compared []string
	if slices.Contains(columns, yardstick) {
		compared = slices.DeleteFunc(slices.Clone(tethers), func(name string) bool { return !slices.Contains(columns, name) })
	}
	fmt.Fprintf(out, "\n**%s**\n\n| | %s |", r.row.title, strings.Join(columns, " | "))
	for _, t := range compared {
		fmt.Fprintf(out, " %s / %s |", t, yardstick)
	}
	fmt.Fprintf(out, "\n|%s\n", strings.Repeat("---|", 1+len(columns)+len(compared)))
	for _, m := range r.row.shows {
		fmt.Fprintf(out, "| %s |", m.text)
		for _, c := range columns {
			fmt.Fprintf(out, " %s |", r.cell(c, m.key))
		}
		for _, t := range compared {
			fmt.Fprintf(out, " %s |", ratio(r.ratios(t, yardstick, m.key)))
		}
		fmt.Fprintln(out)
	}
	for _, c := range r.failed() {
		fmt.Fprintf(out, "\n%s failed: %v\n", c, r.failures[c])
	}
}

// cell returns the median of a figure with its least and greatest value. Direct runs have no added part: their own figure stands in its place.
func (r *results) cell(column, key string) string {
	if column == direct {
		key = strings.TrimPrefix(key, "added ")
	}
	s, is := spreadOf(r.series(column, key))
	if !is {
		return "-"
	}
	return fmt.Sprintf("%s (%s..%s)", number(s.median), number(s.least), number(s.greatest))
}

func ratio(values []float64) string {
	s, is := spreadOf(values)
	if !is {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f..%.2f)", s.median, s.least, s.greatest)
}

// number returns a figure with about three digits.
func number(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
