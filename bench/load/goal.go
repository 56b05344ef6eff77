package main

import "fmt"

// goal is a bound for one number of the policy that is judged.
type goal struct {
	name    string
	bound   float64
	atLeast bool // otherwise at most
	of      func(all map[string]figures) float64
}

// judged is the policy that has the goals.
const judged = "tether"

// goalsOf returns the goals of a scenario without incident, in the order of the table of goals.
func goalsOf(hits, work, p90, p99, p90ToLeast, moved float64) []goal {
	p90Of := func(f figures) float64 { return f.p90 }
	return []goal{
		{"hits, % of ideal", hits, true, value(func(f figures) float64 { return f.hits })},
		{"work, max/mean", work, false, value(func(f figures) float64 { return f.work })},
		{"TTFT p90 / hash", p90, false, ratio("hash", p90Of)},
		{"TTFT p99 / hash", p99, false, ratio("hash", func(f figures) float64 { return f.p99 })},
		{"TTFT p90 / least in flight", p90ToLeast, false, ratio("least in flight", p90Of)},
		{"moved per 1,000", moved, false, value(func(f figures) float64 { return f.moved })},
	}
}

func value(of func(f figures) float64) func(all map[string]figures) float64 {
	return func(all map[string]figures) float64 { return of(all[judged]) }
}

// ratio is the number of the judged policy, relative to that of another.
func ratio(to string, of func(f figures) float64) func(all map[string]figures) float64 {
	return func(all map[string]figures) float64 { return of(all[judged]) / of(all[to]) }
}

// check returns a line of the table of goals, and whether the goal is met.
func (g *goal) check(scenario string, all map[string]figures) (line string, met bool) {
	is, sign := g.of(all), "<="
	met = is <= g.bound
	if g.atLeast {
		sign, met = ">=", is >= g.bound
	}
	return fmt.Sprintf("| %s | %s | %.3g | %s %.3g | %s |\n", scenario, g.name, is, sign, g.bound, map[bool]string{true: "met", false: "missed"}[met]), met
}
