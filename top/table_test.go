package top

import (
	"strings"
	"testing"
	"time"

	"tether/status"
)

// A narrow terminal leaves out the columns that say least, and never name, state and load.
func TestFitting(t *testing.T) {
	s := fleet(2)
	for width, want := range map[int]string{
		140: "UPSTREAM STATE LIVE IDLE FLIGHT WORK REQ/S 15 MIN P50 P99 RUN WAIT KV HIT ERR",
		80:  "UPSTREAM STATE LIVE FLIGHT WORK REQ/S P50 P99 HIT ERR",
		40:  "UPSTREAM STATE LIVE REQ/S",
		20:  "UPSTREAM STATE",
	} {
		title := styles.ReplaceAllString(table(s.Now.Upstreams, s.Past.Upstreams, width)[0], "")
		if got := strings.Join(strings.Fields(title), " "); got != want {
			t.Errorf("%d columns: %s, want %s", width, got, want)
		}
	}
}

// Each column of the line is a minute, the latest at the right.
func TestSpark(t *testing.T) {
	minutes := func(all ...uint32) (samples []uint32) {
		for _, n := range all {
			for range 6 {
				samples = append(samples, n)
			}
		}
		return samples
	}
	for _, c := range []struct {
		samples []uint32
		want    string
	}{
		{nil, "               "},
		{[]uint32{5}, "              █"},
		{minutes(0, 0, 0), "            ▁▁▁"},
		{minutes(0, 4, 8), "            ▁▄█"},
		{append([]uint32{8}, minutes(0, 8)...), "            █▁█"},
		{minutes(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), "▁▂▂▃▃▄▄▅▅▆▆▇▇██"},
	} {
		if got := spark(c.samples); got != c.want {
			t.Errorf("%v: %q, want %q", c.samples, got, c.want)
		}
	}
}

// Figures that are not known are a dash, and none is rounded to 100 % that is not.
func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{told(nil), "-"},
		{milliseconds(nil), "-"},
		{milliseconds(ptr(999.4)), "999 ms"},
		{milliseconds(ptr(1500.0)), "1.5 s"},
		{number(0), "0"},
		{number(9.94), "9.9"},
		{number(45.2), "45"},
		{share(1, 1), "100 %"},
		{share(9999, 10_000), "99.9 %"},
		{share(0, 1), "0 %"},
		{span(90 * time.Second), "90 s"},
		{span(5 * time.Minute), "5 min"},
		{span(50 * time.Hour), "2 d"},
		{span(3 * time.Hour), "3 h"},
		{columns[12].cell(&status.Upstream{}, status.Line{}), "-"},
		{columns[13].cell(&status.Upstream{}, status.Line{}), "-"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}
