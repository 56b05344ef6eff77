package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"tether/e2e/chaos/ledger"
)

// columns are the outcomes that the report counts.
var columns = []string{"whole", "of these moved", "of these spilled", "error", "cut", "no answer", "left"}

// report is the table of what happened to requests, by fault: those that were at a server while the fault was there, and those that were asked
// while tether itself had it.
func report(l *ledger.Ledger) string {
	counts, requests := map[string]map[string]int{}, map[string]int{}
	events := map[string]int{}
	for _, e := range l.Events {
		events[e.Kind]++
	}
	for kinds, t := range touched(l) {
		for _, kind := range append(kinds, "") {
			if counts[kind] == nil {
				counts[kind] = map[string]int{}
			}
			requests[kind]++
			for _, c := range outcomes(t) {
				counts[kind][c]++
			}
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "fault\ttimes\trequests\t%s\t\n", strings.Join(columns, "\t"))
	for _, kind := range sortedKinds(events) {
		row(w, kind, events[kind], requests[kind], counts[kind])
	}
	row(w, "all", len(l.Events), requests[""], counts[""])
	w.Flush()
	b.WriteString(failures(l))
	for _, f := range l.Figures {
		fmt.Fprintf(&b, "%s: %.0f at the start, %.0f at the end, limit %.0f\n", f.Name, f.Start, f.End, f.Limit)
	}
	return b.String()
}

func row(w *tabwriter.Writer, name string, events, requests int, counts map[string]int) {
	fmt.Fprintf(w, "%s\t%d\t%d\t", name, events, requests)
	for _, c := range columns {
		fmt.Fprintf(w, "%d\t", counts[c])
	}
	fmt.Fprintln(w)
}

func outcomes(t ledger.Turn) []string {
	switch t.Result {
	case ledger.Whole:
		switch t.Affinity {
		case "moved":
			return []string{"whole", "of these moved"}
		case "spilled":
			return []string{"whole", "of these spilled"}
		}
		return []string{"whole"}
	case ledger.Failed:
		return []string{"error"}
	}
	return []string{string(t.Result)}
}

// touched gives each turn with the kinds of faults that it met.
func touched(l *ledger.Ledger) func(yield func([]string, ledger.Turn) bool) {
	servers := map[string][]string{}
	for _, a := range l.Attempts {
		servers[a.ID] = append(servers[a.ID], a.Server)
	}
	return func(yield func([]string, ledger.Turn) bool) {
		for _, t := range l.Turns {
			var kinds []string
			for _, e := range l.Events {
				meets := e.Server == "" || slices.Contains(servers[t.ID], e.Server)
				if meets && !e.From.After(t.End) && !e.To.Before(t.Start) && !slices.Contains(kinds, e.Kind) {
					kinds = append(kinds, e.Kind)
				}
			}
			if !yield(kinds, t) {
				return
			}
		}
	}
}

func sortedKinds(events map[string]int) []string {
	kinds := make([]string, 0, len(events))
	for k := range events {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}

// failures counts errors by status and message.
func failures(l *ledger.Ledger) string {
	counts := map[string]int{}
	for _, t := range l.Turns {
		if t.Result == ledger.Failed {
			counts[fmt.Sprintf("%d %s", t.Status, firstWords(t.Message))]++
		}
	}
	lines := sortedKinds(counts)
	slices.SortStableFunc(lines, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "%6d  %s\n", counts[line], line)
	}
	return b.String()
}

// firstWords shortens a message, and takes out what differs from request to request.
func firstWords(message string) string {
	if i := strings.Index(message, "resp_"); i >= 0 {
		message = message[:i] + "..."
	}
	return message[:min(len(message), 80)]
}
