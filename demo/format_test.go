package demo

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{percent(0.9512), "95.1 %"},
		{percent(0), "0.0 %"},
		{percent(math.NaN()), "-"},
		{latency(15499 * time.Microsecond), "15 ms"},
		{latency(0), "0 ms"},
		{latency(1234 * time.Millisecond), "1.2 s"},
		{latency(-1), "-"},
		{clock(7 * time.Second), "0:07"},
		{clock(12*time.Minute + 40*time.Second), "12:40"},
		{count(1, "conversation"), "1 conversation"},
		{count(0, "conversation"), "0 conversations"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	text := strings.Repeat("word ", 40)
	lines := wrap(" 0:15  ", text)
	if len(lines) != 3 || !strings.HasPrefix(lines[0], " 0:15  word") || !strings.HasPrefix(lines[1], "       word") {
		t.Errorf("%q", lines)
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > Page {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if got := strings.Fields(strings.TrimPrefix(strings.Join(lines, " "), " 0:15")); len(got) != 40 {
		t.Errorf("%d words, want 40", len(got))
	}
	if got := wrap("", "short"); !slices.Equal(got, []string{"short"}) {
		t.Errorf("%q", got)
	}
}

func TestColumns(t *testing.T) {
	got := columns([]string{"name\tn", "a\t100", "longer\t9 µs", "last"})
	want := []string{"name    n", "a       100", "longer  9 µs", "last"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}
