package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"tether/admin"
)

// print writes the answer as text for people, or as JSON.
func (o *whereOptions) print(out io.Writer, found admin.Where) error {
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(found)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(cells ...string) {
		for i, c := range cells {
			cells[i] = printable(c)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	if found.Request != nil {
		printRequest(line, found.Request)
	}
	for i, p := range found.Places {
		if i > 0 || found.Request != nil {
			line()
		}
		printPlace(line, &p)
	}
	if found.Placement != "" {
		line()
		line("placement", found.Placement)
	}
	if found.Note != "" {
		line()
		line("note", found.Note)
	}
	return w.Flush()
}

func printRequest(line func(...string), r *admin.Request) {
	if r.Path != "" {
		line("request", r.Method+" "+r.Path)
	}
	if r.Status != 0 {
		line("refused", fmt.Sprintf("%d: %s", r.Status, r.Refused))
	}
	if r.Note != "" {
		line("", r.Note)
	}
	label := "sources"
	for _, s := range r.Sources {
		line(label, s.Source, s.Finding)
		label = ""
	}
}

func printPlace(line func(...string), p *admin.Place) {
	line("session", cmp.Or(p.Session, "none"))
	if p.Source != "" {
		line("id from", p.Source)
	}
	line("model", cmp.Or(p.Model, "none"))
	drawn := slices.ContainsFunc(p.Walk, func(s admin.Step) bool { return s.Verdict == "candidate" })
	to := p.Upstream
	switch {
	case drawn:
		to = "one of the candidates"
	case to == "":
		to = "no upstream"
	}
	line("goes to", fmt.Sprintf("%s (%s): %s", to, p.Outcome, p.Why))
	line("home", cmp.Or(p.Home, "none"))
	pin := cmp.Or(p.Pin, "none")
	if p.PinSkipped != "" {
		pin += ", not followed: " + p.PinSkipped
	}
	line("pin", pin)
	if p.InFlight > 0 {
		line("in flight", fmt.Sprintf("%d under this id: several conversations may share it, and the surplus goes to other servers", p.InFlight))
	}
	printWalk(line, p.Walk, !drawn)
}

// shownSteps bounds the upstreams that are listed after the one that gets the request.
const shownSteps = 16

func printWalk(line func(...string), walk []admin.Step, ordered bool) {
	taken := slices.IndexFunc(walk, func(s admin.Step) bool { return s.Verdict == "taken" })
	label := "upstreams"
	if ordered {
		label = "order"
	}
	for i, s := range walk {
		if i > taken+shownSteps {
			line("", fmt.Sprintf("and %d more: --json lists them", len(walk)-i))
			return
		}
		verdict := s.Verdict
		if s.Why != "" {
			verdict += ": " + s.Why
		}
		name := s.Upstream
		if ordered {
			name = fmt.Sprintf("%d. %s", i+1, name)
		}
		line(label, name, s.State, verdict, loadWords(&s))
		label = ""
	}
}

// loadWords says how busy an upstream is: what tether sent there, and what the server says. It is "" for an idle one.
func loadWords(s *admin.Step) string {
	var words []string
	if s.Backlog >= 0.05 {
		words = append(words, fmt.Sprintf("%.1f s of work", s.Backlog))
	}
	e := s.Engine
	if e == nil {
		return strings.Join(words, ", ")
	}
	if e.Running != nil && *e.Running > 0 {
		words = append(words, fmt.Sprintf("%d running", *e.Running))
	}
	if e.Waiting != nil && *e.Waiting > 0 {
		words = append(words, fmt.Sprintf("%d waiting", *e.Waiting))
	}
	if (e.Running != nil && *e.Running > 0 || e.Waiting != nil && *e.Waiting > 0) && e.KVUsage != nil {
		words = append(words, fmt.Sprintf("%.0f %% of the KV cache", 100**e.KVUsage))
	}
	return strings.Join(words, ", ")
}

// printable escapes characters that a terminal could act on, and bytes that are not text.
func printable(s string) string {
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return strings.Trim(strconv.Quote(s), `"`)
		}
	}
	return s
}
