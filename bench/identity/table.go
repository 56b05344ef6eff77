package main

import (
	"fmt"
	"strings"
)

// table returns the scorecard in Markdown.
func table(all []*class) string {
	var b strings.Builder
	b.WriteString("| traffic | in flight | turns that stayed | load | load at a time | prompt cached | could be |\n|---|---|---|---|---|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| %s | %.0f | %s | %.2f | %.2f | %s | %s |\n", c.name, c.inFlight, percent(c.stayed, c.later), c.overall, c.atOnce,
			percent(c.found, c.tokens), percent(c.kept, c.tokens))
	}
	return b.String()
}

func percent(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

// missed returns the goals that the class missed.
func (c *class) missed() (missed []string) {
	if c.same && c.stayed != c.later {
		missed = append(missed, fmt.Sprintf("%s: %d of %d turns stayed on their server, want all", c.name, c.stayed, c.later))
	}
	if c.even && c.overall > evenLoad {
		missed = append(missed, fmt.Sprintf("%s: the busiest server had %.2f times the mean, want at most %.2f", c.name, c.overall, evenLoad))
	}
	if c.crowd && c.atOnce > evenLoad {
		missed = append(missed, fmt.Sprintf("%s: the busiest server had %.2f times the mean at a time, want at most %.2f", c.name, c.atOnce, evenLoad))
	}
	return missed
}
