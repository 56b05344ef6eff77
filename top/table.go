package top

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tether/status"
)

// column is a column of the table of upstreams.
type column struct {
	title string
	left  bool // aligned to the left
	// rank says which columns a narrow terminal leaves out: those with the highest rank first.
	rank int
	cell func(u *status.Upstream, past status.Line) string
}

// maxName is the width of the longest name that is shown in full.
const maxName = 24

var columns = []column{
	{"UPSTREAM", true, 0, func(u *status.Upstream, _ status.Line) string { return fit(clean(u.Name), maxName) }},
	{"STATE", true, 0, func(u *status.Upstream, _ status.Line) string { return u.State }},
	{"LIVE", false, 1, func(u *status.Upstream, _ status.Line) string { return strconv.Itoa(u.Live) }},
	{"IDLE", false, 8, func(u *status.Upstream, _ status.Line) string { return strconv.Itoa(max(0, u.Pinned-u.Live)) }},
	{"FLIGHT", false, 3, func(u *status.Upstream, _ status.Line) string { return strconv.FormatInt(u.InFlight, 10) }},
	{"WORK", false, 5, func(u *status.Upstream, _ status.Line) string { return fmt.Sprintf("%.1f s", u.Backlog) }},
	{"REQ/S", false, 1, func(u *status.Upstream, _ status.Line) string { return number(u.Rate) }},
	{"15 MIN", true, 9, func(_ *status.Upstream, past status.Line) string { return spark(past.Requests) }},
	{"P50", false, 4, func(u *status.Upstream, _ status.Line) string { return milliseconds(u.Minute.P50) }},
	{"P99", false, 6, func(u *status.Upstream, _ status.Line) string { return milliseconds(u.Minute.P99) }},
	{"RUN", false, 7, func(u *status.Upstream, _ status.Line) string { return told(u.Running) }},
	{"WAIT", false, 7, func(u *status.Upstream, _ status.Line) string { return told(u.Waiting) }},
	{"KV", false, 7, func(u *status.Upstream, _ status.Line) string {
		if u.KVUsage == nil {
			return "-"
		}
		return share(*u.KVUsage, 1)
	}},
	{"HIT", false, 2, func(u *status.Upstream, _ status.Line) string {
		if u.Minute.Reported == 0 {
			return "-"
		}
		return share(float64(u.Minute.Tokens["hit"]), float64(u.Minute.Reported))
	}},
	{"ERR", false, 2, func(u *status.Upstream, _ status.Line) string { return strconv.FormatUint(u.Minute.Errors, 10) }},
}

// table returns the titles and a line for each upstream, in at most width columns.
func table(all []status.Upstream, past map[string]status.Line, width int) []string {
	cells := make([][]string, len(columns)) // by column
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = len(c.title)
		for k := range all {
			text := c.cell(&all[k], past[all[k].Name])
			cells[i] = append(cells[i], text)
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	kept := fitting(widths, width)
	lines := make([]string, 1, len(all)+1)
	var titles []string
	for _, i := range kept {
		titles = append(titles, pad(columns[i].title, widths[i], columns[i].left))
	}
	lines[0] = faint(fit(strings.Join(titles, "  "), width))
	for k := range all {
		var row []string
		for _, i := range kept {
			row = append(row, pad(cells[i][k], widths[i], columns[i].left))
		}
		lines = append(lines, colour(&all[k], fit(strings.Join(row, "  "), width)))
	}
	return lines
}

// fitting returns the columns that fit into the width, the ones of the lowest rank at least.
func fitting(widths []int, width int) (kept []int) {
	highest := 0
	for _, c := range columns {
		highest = max(highest, c.rank)
	}
	for rank := highest; ; rank-- {
		kept = kept[:0]
		sum := -2
		for i, c := range columns {
			if c.rank <= rank {
				kept = append(kept, i)
				sum += widths[i] + 2
			}
		}
		if sum <= width || rank == 0 {
			return kept
		}
	}
}

// colour gives a row the colour of the upstream's state.
func colour(u *status.Upstream, row string) string {
	switch {
	case u.Health == "down":
		return red(row)
	case u.Health != "up", u.Draining, u.Leaving:
		return yellow(row)
	}
	return row
}

func pad(s string, width int, left bool) string {
	space := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	if left {
		return s + space
	}
	return space + s
}

// sparkWidth is the width of the line of 15 minutes, in columns.
const sparkWidth = 15

// spark draws the samples of 15 minutes as a line of blocks, the latest at its right end. Each column is the mean of the samples of a minute.
func spark(samples []uint32) string {
	const blocks, perColumn = "▁▂▃▄▅▆▇█", 6
	var means []float64
	for end := len(samples); end > 0 && len(means) < sparkWidth; end -= perColumn {
		sum, begin := 0.0, max(0, end-perColumn)
		for _, n := range samples[begin:end] {
			sum += float64(n)
		}
		means = append(means, sum/float64(end-begin))
	}
	most := 0.0
	for _, m := range means {
		most = max(most, m)
	}
	line := []rune(strings.Repeat(" ", sparkWidth))
	for i, m := range means {
		level := 0
		if most > 0 {
			level = int(m / most * 7.999)
		}
		line[sparkWidth-1-i] = []rune(blocks)[level]
	}
	return string(line)
}

func told(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

func number(x float64) string {
	if x < 10 && x != 0 {
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

func share(part, whole float64) string {
	switch percent := 100 * part / whole; {
	case percent > 99 && percent < 100:
		return fmt.Sprintf("%.1f %%", min(percent, 99.9))
	default:
		return fmt.Sprintf("%.0f %%", percent)
	}
}

func milliseconds(ms *float64) string {
	switch {
	case ms == nil:
		return "-"
	case *ms < 1000:
		return fmt.Sprintf("%.0f ms", *ms)
	}
	return fmt.Sprintf("%.1f s", *ms/1000)
}

// span is a time in one unit.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f d", d.Hours()/24)
}
