package fault

import "testing"

func TestParse(t *testing.T) {
	for header, want := range map[string]string{
		"":                      `unknown fault ""`,
		"hang=1":                `fault hang takes no argument, got "1"`,
		"status":                `fault status: argument "", want 200..599`,
		"status=99":             `fault status: argument "99", want 200..599`,
		"slow":                  `fault slow: argument "", want a duration such as 250ms`,
		"slow=-1s":              `fault slow: argument "-1s", want a duration such as 250ms`,
		"close, cut-inside=x":   `fault cut-inside: argument "x", want 0..1073741824`,
		"queue-full=x":          `fault queue-full: argument "x", want requests or tokens`,
		"queue-full=tokens":     "",
		"huge-head=0":           `fault huge-head: argument "0", want 1..1048576`,
		"close,early, stall=0 ": "",
	} {
		got := ""
		if _, err := parse(header); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
