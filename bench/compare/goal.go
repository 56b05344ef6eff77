package main

import (
	"fmt"
	"io"
)

// goal is a limit: the floor must hold, the goal is what tether is here for.
type goal struct {
	row, key, text string
	// engine is the engine that the goal is for: its column is judged, or that of tether as it ships if this runs that engine. "" stands for
	// tether as it ships.
	engine string
	// against is what the figure is divided by: the same figure of HAProxy, of tether in another row, or nothing.
	against     divisor
	over        string  // the other row
	floor, goal float64 // 0: there is none
}

// divisor is what a figure is divided by.
type divisor uint8

const (
	peer divisor = iota
	otherRow
	nothing
)

var goals = []goal{
	{row: "sse500", key: cpu, text: "CPU per SSE event, 500 streams, epoll", engine: "epoll", floor: 0.90, goal: 0.78},
	{row: "sse500", key: cpu, text: "CPU per SSE event, 500 streams, io_uring", engine: "uring", floor: 0.75, goal: 0.60},
	{row: "sse50", key: cpu, text: "CPU per SSE event, 50 streams, epoll", engine: "epoll", floor: 0.92, goal: 0.80},
	{row: "sse50", key: cpu, text: "CPU per SSE event, 50 streams, io_uring", engine: "uring", floor: 0.80, goal: 0.65},
	{row: "json32", key: cpu, text: "CPU per JSON request, 32 clients, epoll", engine: "epoll", floor: 0.95, goal: 0.80},
	{row: "json32", key: cpu, text: "CPU per JSON request, 32 clients, io_uring", engine: "uring", floor: 0.80, goal: 0.62},
	{row: "busy", key: cpu, text: "CPU per JSON request, both cores busy", floor: 1.0, goal: 0.85},
	{row: "short", key: cpu, text: "CPU per stream of 10 events", floor: 1.0, goal: 0.85},
	{row: "sse50", key: added50, text: "delay added per SSE event, 50 streams, p50", floor: 1.15, goal: 1.0},
	{row: "sse50", key: added99, text: "delay added per SSE event, 50 streams, p99", floor: 1.15, goal: 1.0},
	{row: "sse500", key: added99, text: "delay added per SSE event, 500 streams, p99", floor: 1.15, goal: 1.0},
	{row: "sse500", key: added50, text: "delay added per SSE event, 500 streams, p50", goal: 1.0},
	{row: "light", key: p50, text: "light load, whole request, p50", floor: 1.1},
	{row: "light", key: p99, text: "light load, whole request, p99", floor: 1.0},
	{row: "light", key: added50, text: "light load, added part, p50", goal: 0.9},
	{row: "light", key: added99, text: "light load, added part, p99", goal: 0.9},
	{row: "memory2000", key: perConn, text: "RSS per open stream, 2,000 streams, KB", against: nothing, floor: 12, goal: 6},
	{row: "memory10000", key: perConn, text: "RSS per open stream, 10,000 streams or as many as fit, KB", against: nothing, floor: 12, goal: 6},
	{row: "idle10000", key: perConn, text: "RSS per idle connection, KB", against: nothing, floor: 4, goal: 1},
	{row: "map10000000", key: perPin, text: "session map at 10M pins, bytes a pin", against: nothing, floor: 48},
	{row: "map10000000", key: collection, text: "session map at 10M pins, GC cycle, ms", against: nothing, floor: 20},
	{row: "map10000000", key: lookup, text: "session map at 10M pins, pick and get, ns elapsed", against: nothing, floor: 250},
	{row: "allocations", key: allocated, text: "allocations per JSON request, those of background work included", against: nothing, floor: 2, goal: 0.1},
	{row: "upstreams512", key: cpu, text: "CPU per request, 512 upstreams over 2", against: otherRow, over: "upstreams2", floor: 1.15, goal: 1.05},
}

// printGoals prints the goals, and returns how many floors are missed. engine is the one that tether chose itself.
func printGoals(out io.Writer, all []*results, engine string) (missed int) {
	fmt.Fprint(out, "\n**Goals.** Figures without a unit are ratios, tether over HAProxy or as named.\n\n"+
		"| work | is | floor | | goal | |\n|---|---|---|---|---|---|\n")
	for _, g := range goals {
		is, found := g.value(all, engine)
		if !found {
			fmt.Fprintf(out, "| %s | not run | %s | | %s | |\n", g.text, limit(g.floor), limit(g.goal))
			continue
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", g.text, number(is)+g.ofYardstick(all), limit(g.floor), verdict(is, g.floor), limit(g.goal), verdict(is, g.goal))
		if g.floor > 0 && is > g.floor {
			missed++
		}
	}
	return missed
}

// value returns the median of what is judged, and false if it was not measured.
func (g goal) value(all []*results, engine string) (float64, bool) {
	column := "tether"
	if g.engine != "" && g.engine != engine {
		column = "tether " + g.engine
	}
	r := find(all, g.row)
	if r == nil {
		return 0, false
	}
	switch g.against {
	case peer:
		s, is := spreadOf(r.ratios(column, yardstick, g.key))
		return s.median, is
	case otherRow:
		return g.growth(all, column)
	default:
		s, is := spreadOf(r.series(column, g.key))
		return s.median, is
	}
}

// growth returns the median growth of a column's figure from the other row to this one, and false unless the two were measured in turns.
func (g goal) growth(all []*results, column string) (float64, bool) {
	r, other := find(all, g.row), find(all, g.over)
	if r == nil || other == nil || r.row.with != other.row.name {
		return 0, false
	}
	s, is := spreadOf(ratios(r, other, column, column, g.key))
	return s.median, is
}

// ofYardstick returns the growth of HAProxy's figure, to be shown beside tether's; empty if it was not measured or the goal is no growth.
func (g goal) ofYardstick(all []*results) string {
	if g.against != otherRow {
		return ""
	}
	growth, is := g.growth(all, yardstick)
	if !is {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", yardstick, number(growth))
}

// find returns the results of a row, or nil.
func find(all []*results, row string) *results {
	for _, r := range all {
		if r.row.name == row {
			return r
		}
	}
	return nil
}

func limit(v float64) string {
	if v == 0 {
		return ""
	}
	return number(v)
}

func verdict(is, limit float64) string {
	switch {
	case limit == 0:
		return ""
	case is <= limit:
		return "met"
	default:
		return "missed"
	}
}
