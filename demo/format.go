package demo

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// Page is the width of the printed text, in columns.
const Page = 80

const noFigure = "-"

func percent(share float64) string {
	if math.IsNaN(share) {
		return noFigure
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// latency is a time in the unit that people compare: 16 ms, 1.2 s.
func latency(d time.Duration) string {
	switch {
	case d < 0:
		return noFigure
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// clock is the time since a start: 0:07, 12:40.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// wrap breaks text into lines of Page columns. The first line follows head, the others are indented by its width.
func wrap(head, text string) (lines []string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(head))
	line := head
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > Page:
			lines, line = append(lines, line), indent
		default:
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// columns aligns rows whose cells are separated by tabs.
func columns(rows []string) []string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(rows, "\n")) // a buffer takes all
	_ = w.Flush()
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}
