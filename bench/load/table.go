package main

import (
	"fmt"
	"io"
	"strings"
)

// print prints a scenario's table in Markdown.
func (s *scenario) print(out io.Writer, policies []contender) {
	fmt.Fprintf(out, "\n**%s**\n\n", s.name)
	columns := "| policy | hits, % of ideal | work, max/mean | in flight, max/mean | TTFT mean | p50 | p90 | p99 | moved per 1,000 |"
	if s.watches {
		columns += " new there, % |"
	}
	fmt.Fprintf(out, "%s\n%s|\n", columns, strings.Repeat("|---", strings.Count(columns, "|")-1))
	for _, c := range policies {
		f := s.figures[c.name]
		fmt.Fprintf(out, "| %s | %.1f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.1f |",
			c.name, f.hits, f.work, f.inFlight, f.mean, f.p50, f.p90, f.p99, f.moved)
		if s.watches {
			fmt.Fprintf(out, " %.1f |", f.newThere)
		}
		fmt.Fprintln(out)
	}
}

// printGoals prints the goals of the scenarios, and returns how many are missed.
func printGoals(out io.Writer, all []*scenario) (missed int) {
	fmt.Fprintf(out, "\n**Goals of %s**\n\n| scenario | measure | is | goal | |\n|---|---|---|---|---|\n", judged)
	for _, s := range all {
		for _, g := range s.goals {
			line, met := g.check(s.name, s.figures)
			fmt.Fprint(out, line)
			if !met {
				missed++
			}
		}
	}
	return missed
}
