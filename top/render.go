package top

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"tether/status"
)

// View is what a terminal shows: a status and how its user looks at it. Its Lines are a function of it alone.
type View struct {
	Status status.Status
	// Problem is why there is no newer status, "" for none.
	Problem string
	// Width and Height are the size of the terminal. Without a height, all is shown.
	Width, Height int
	// First is the number of the first upstream that is shown.
	First int
	// Busiest sorts the upstreams by their requests a second; otherwise they are in the order of the configuration.
	Busiest bool
	// Paused says that the status is not refreshed.
	Paused bool
}

// minWidth is the width of the narrowest terminal that shows a table.
const minWidth = 40

// Lines returns the lines of the screen, at most Height of them, each at most Width columns wide.
func (v *View) Lines() []string {
	v.Width = max(v.Width, minWidth)
	lines := v.head()
	rows := v.rows()
	events := v.events()
	room := len(rows) + len(events) + 2
	if v.Height > 0 {
		room = max(0, v.Height-len(lines)-1) // without the last line
	}
	// The upstreams have what the first five events leave, and the events what the upstreams leave.
	shown := min(len(rows), max(2, room-min(len(events)+2, 7)), room)
	lines = append(lines, rows[:shown]...)
	if left := room - shown - 2; left > 0 && len(events) > 0 {
		lines = append(lines, "", faint("EVENTS"))
		lines = append(lines, events[:min(left, len(events))]...)
	}
	return append(lines, faint(fit(v.help(len(rows)-1), v.Width)))
}

// head returns the lines above the table.
func (v *View) head() []string {
	now := &v.Status.Now
	title := fmt.Sprintf("tether %s  up %s  placement %s", clean(now.Version), span(now.At.Sub(now.Started)), now.Placement)
	state := green("live")
	switch {
	case v.Problem != "":
		state = red("no answer")
	case v.Paused:
		state = yellow("paused")
	}
	lines := []string{bold(fit(title, v.Width-22)) + "  " + now.At.Format("15:04:05") + "  " + state}
	if v.Problem != "" {
		lines = append(lines, red(fit(v.Problem, v.Width)))
	}
	lines = append(lines, wrap(v.figures(), v.Width)...)
	return append(lines, "")
}

// figures returns the figures of all upstreams together.
func (v *View) figures() []string {
	now := &v.Status.Now
	m := &now.Minute
	live := 0
	for i := range now.Upstreams {
		live += now.Upstreams[i].Live
	}
	all := []string{fmt.Sprintf("%s requests/s", number(now.Rate)), fmt.Sprintf("%d in flight", now.InFlight), fmt.Sprintf("%d live conversations", live)}
	if later := m.Outcomes["pinned"] + m.Outcomes["moved"] + m.Outcomes["spilled"]; later > 0 {
		all = append(all, share(float64(m.Outcomes["pinned"]), float64(later))+" stayed")
	}
	if m.Reported > 0 {
		all = append(all, share(float64(m.Tokens["hit"]), float64(m.Reported))+" of prompts cached")
	}
	if m.P50 != nil {
		all = append(all, fmt.Sprintf("first byte %s, p99 %s", milliseconds(m.P50), milliseconds(m.P99)))
	}
	if m.Saved != nil {
		all = append(all, "prefill saved "+span(time.Duration(*m.Saved*float64(time.Second))))
	}
	if m.Errors > 0 {
		all = append(all, fmt.Sprintf("%d errors", m.Errors))
	}
	return all
}

// rows returns the table of upstreams: its titles, and a line for each upstream from the first shown one.
func (v *View) rows() []string {
	all := slices.Clone(v.Status.Now.Upstreams)
	if v.Busiest {
		slices.SortStableFunc(all, func(a, b status.Upstream) int {
			switch {
			case a.Rate > b.Rate:
				return -1
			case a.Rate < b.Rate:
				return 1
			}
			return 0
		})
	}
	all = all[min(max(v.First, 0), max(0, len(all)-1)):]
	return table(all, v.Status.Past.Upstreams, v.Width)
}

func (v *View) events() (lines []string) {
	for _, e := range slices.Backward(v.Status.Past.Events) {
		text := e.At.Local().Format("15:04:05") + "  "
		if e.Upstream != "" {
			text += clean(e.Upstream) + "  "
		}
		text = fit(text+clean(e.Text), v.Width)
		switch e.Kind {
		case "down":
			text = red(text)
		case "moves":
			text = yellow(text)
		}
		lines = append(lines, text)
	}
	return lines
}

// help returns the last line. shown is the number of upstreams from the first shown one on.
func (v *View) help(shown int) string {
	text := "q quit  p pause  s sort"
	if n := len(v.Status.Now.Upstreams); shown < n || v.Height > 0 && n > v.Height-8 {
		text += fmt.Sprintf("  up/down scroll, %d of %d", n-shown+1, n)
	}
	return text
}

// clean makes what a terminal could act on visible: names come from servers.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}

// fit cuts a text to a width.
func fit(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:max(0, width-1)]) + "…"
	}
	return s
}

// wrap puts parts into lines of at most the width, two spaces between them.
func wrap(parts []string, width int) (lines []string) {
	line := ""
	for _, p := range parts {
		if line != "" && len(line)+2+len(p) > width {
			lines = append(lines, fit(line, width))
			line = ""
		}
		if line != "" {
			line += "  "
		}
		line += p
	}
	return append(lines, fit(line, width))
}

// The styles of a text.
func bold(s string) string   { return paint("1", s) }
func faint(s string) string  { return paint("2", s) }
func red(s string) string    { return paint("31", s) }
func green(s string) string  { return paint("32", s) }
func yellow(s string) string { return paint("33", s) }

func paint(code, s string) string { return "\x1b[" + code + "m" + s + "\x1b[0m" }
