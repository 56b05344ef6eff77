package main

import (
	"fmt"
	"io"
)

// goal is a limit for a ratio of tether and the yardstick: the floor must hold, the goal is what tether is here for.
type goal struct {
	row, key, text string
	// engine is the column that the goal is for. "" stands for tether as it ships.
	engine      string
	floor, goal float64 // 0: there is none
}

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
}

// printGoals prints the goals, and returns how many floors are missed. A goal for an engine is judged by the column of that engine.
func printGoals(out io.Writer, all []*results) (missed int) {
	fmt.Fprint(out, "\n**Goals: tether / HAProxy**\n\n| work | is | floor | | goal | |\n|---|---|---|---|---|---|\n")
	for _, g := range goals {
		is, found := g.value(all)
		if !found {
			fmt.Fprintf(out, "| %s | not run | %s | | %s | |\n", g.text, limit(g.floor), limit(g.goal))
			continue
		}
		fmt.Fprintf(out, "| %s | %.2f | %s | %s | %s | %s |\n", g.text, is, limit(g.floor), verdict(is, g.floor), limit(g.goal), verdict(is, g.goal))
		if g.floor > 0 && is > g.floor {
			missed++
		}
	}
	return missed
}

// value returns the median of the ratio, and false if it was not measured.
func (g goal) value(all []*results) (float64, bool) {
	column := "tether"
	if g.engine != "" {
		column = "tether " + g.engine
	}
	for _, r := range all {
		if r.row.name == g.row {
			s, is := spreadOf(r.ratios(column, yardstick, g.key))
			return s.median, is
		}
	}
	return 0, false
}

func limit(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
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
