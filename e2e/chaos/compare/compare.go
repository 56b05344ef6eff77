// Package compare is what chaos says of several proxies under the same faults: a few figures that need no knowledge of a proxy's promises.
package compare

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tether/e2e/chaos/ledger"
)

// Figures are what one proxy did in one scenario.
type Figures struct {
	Requests int
	// Lost are requests that got an error, or no answer at all.
	Lost int
	// Cut are answers that ended early, so that the client saw it.
	Cut int
	// Unseen are answers that ended early or are wrong, and seemed to be whole.
	Unseen int
	// Late are requests that took longer than lateAfter.
	Late int
	// Moved are turns of conversations that changed their server, although nothing had happened to it.
	Moved int
	// Left are requests whose clients left while a server worked on them, and Wasted the time for which servers worked after that.
	Left   int
	Wasted time.Duration
}

// lateAfter is the time after which a request is late. Answers take half a second at most.
const lateAfter = 5 * time.Second

// Of returns the figures of a ledger.
func Of(l *ledger.Ledger) (f Figures) {
	attempts := map[string][]ledger.Attempt{}
	for _, a := range l.Attempts {
		attempts[a.ID] = append(attempts[a.ID], a)
	}
	last := map[int]ledger.Turn{} // by conversation
	turns := slices.Clone(l.Turns)
	slices.SortFunc(turns, func(a, b ledger.Turn) int { return a.Start.Compare(b.Start) })
	for _, t := range turns {
		f.Requests++
		f.count(t, attempts[t.ID])
		if t.Result != ledger.Whole || t.Server == "" {
			continue
		}
		before, has := last[t.Conversation]
		if has && before.Server != t.Server && !happened(l, before, t) {
			f.Moved++
		}
		last[t.Conversation] = t
	}
	return f
}

func (f *Figures) count(t ledger.Turn, attempts []ledger.Attempt) {
	if t.End.Sub(t.Start) > lateAfter {
		f.Late++
	}
	switch {
	case t.Result == ledger.Whole && t.Wrong != "":
		f.Unseen++
	case t.Result == ledger.Cut:
		f.Cut++
	case t.Result == ledger.Left:
		f.leave(t, attempts)
	case t.Result != ledger.Whole:
		f.Lost++
	}
}

// leave adds the time for which servers worked for a client that had left.
func (f *Figures) leave(t ledger.Turn, attempts []ledger.Attempt) {
	for _, a := range attempts {
		if a.Done() && a.At.Before(t.End) && a.End.After(t.End) {
			f.Left++
			f.Wasted += a.End.Sub(t.End)
		}
	}
}

// happened reports whether the server of a turn had a fault before the next turn had its answer.
func happened(l *ledger.Ledger, before, next ledger.Turn) bool {
	return slices.ContainsFunc(l.Events, func(e ledger.Event) bool {
		return e.Server == before.Server && !e.From.After(next.End) && !e.To.Before(before.Start)
	})
}

// Row is the figures of a proxy in a scenario.
type Row struct {
	Scenario, Proxy string
	Figures
}

// Table is a table of rows in Markdown.
func Table(rows []Row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprintln(w, "| scenario\t proxy\t requests\t lost\t cut\t cut unseen\t late\t moved\t wasted work\t")
	fmt.Fprintln(w, "|---\t---\t---\t---\t---\t---\t---\t---\t---\t")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s\t %s\t %d\t %d\t %d\t %d\t %d\t %d\t %s\t\n", r.Scenario, r.Proxy, r.Requests, r.Lost, r.Cut, r.Unseen, r.Late, r.Moved, r.waste())
	}
	w.Flush()
	return b.String()
}

// waste is the mean time that a server works for a client that has left.
func (f Figures) waste() string {
	if f.Left == 0 {
		return "-"
	}
	return fmt.Sprintf("%d ms x %d", (f.Wasted / time.Duration(f.Left)).Milliseconds(), f.Left)
}
