package demo

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Page is the width in columns that is written for.
const Page = 80

// nothing stands where there is no figure.
const nothing = "-"

func percent(share float64) string {
	if math.IsNaN(share) {
		return nothing
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// latency is a time as people compare it: 16 ms, 1.2 s.
func latency(d time.Duration) string {
	switch {
	case d < 0:
		return nothing
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

// wrap breaks text into lines of Page, the first of them behind head, the others below it.
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

// align pads cells so that they stand in columns: the first left of them flush left, the others flush right.
func align(rows [][]string, left int) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		for j, cell := range row {
			padding := strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell))
			if j < left {
				row[j] = cell + padding
			} else {
				row[j] = padding + cell
			}
		}
		lines[i] = strings.TrimRight(strings.Join(row, "  "), " ")
	}
	return lines
}
