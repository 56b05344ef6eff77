package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// measure is a row of the table. It has one figure, or several of a kind.
type measure struct {
	name        string
	where       string // what has this figure
	now, limits []int
	held        bool // exceeding the limit is an error
}

// measures measures the tree. A tree without a list of the words of routing has no row for them.
func (t *tree) measures() (all []measure) {
	add := func(name, where string, limit int, held bool, now int) {
		all = append(all, measure{name, where, []int{now}, []int{limit}, held})
	}
	crowded := slices.MaxFunc(t.packages, func(p, q *pkg) int { return cmp.Compare(p.names, q.names) })
	owner := slices.MaxFunc(t.packages, func(p, q *pkg) int { return cmp.Compare(p.biggest().methods, q.biggest().methods) })
	judges := t.judges()
	add("exported names of the biggest package", crowded.path, 60, true, crowded.names)
	add("methods of the biggest type", owner.path+" "+owner.biggest().name, 20, true, owner.biggest().methods)
	add("files in the root, besides tests", "", 2, true, t.rootFiles)
	add("places that judge a failed attempt", strings.Join(judges, ", "), 1, true, len(judges))
	if words := t.words(); words != nil {
		add("concepts to hold to change the routing of a request", "docs/ARCHITECTURE.md", 45, true, len(words))
	}
	all = append(all, measure{"lines per function, median / p90 / max", "", []int{t.percentile(50), t.percentile(90), t.percentile(100)}, []int{9, 21, 60}, true})
	lines := 0
	for _, p := range t.packages {
		lines += p.lines
	}
	add("non-test lines", "", 23383, false, lines)
	return all
}

// percentile is the number of lines that percent of the functions do not exceed.
func (t *tree) percentile(percent int) int {
	if len(t.functions) == 0 {
		return 0
	}
	return t.functions[min(len(t.functions)*percent/100, len(t.functions)-1)]
}

func (m measure) exceeded() bool {
	for i, n := range m.now {
		if m.held && n > m.limits[i] {
			return true
		}
	}
	return false
}

func figures(n []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(n), " ", " / "), "[]")
}

// measureTable is the measures in Markdown.
func measureTable(measures []measure) string {
	var b strings.Builder
	b.WriteString("| measure | now | limit | where |\n|---|---|---|---|\n")
	for _, m := range measures {
		limit := figures(m.limits)
		if !m.held {
			limit += ", not held"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.name, figures(m.now), limit, m.where)
	}
	return b.String()
}

// packageTable is the packages in Markdown, the one with the most exported names first.
func packageTable(t *tree) string {
	all := slices.Clone(t.packages)
	slices.SortStableFunc(all, func(p, q *pkg) int { return cmp.Compare(q.names, p.names) })
	var b strings.Builder
	b.WriteString("| package | files | lines | exported names | biggest type | methods |\n|---|---|---|---|---|---|\n")
	for _, p := range all {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %s | %d |\n", p.path, len(p.files), p.lines, p.names, p.biggest().name, p.biggest().methods)
	}
	return b.String()
}
