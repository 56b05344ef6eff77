package health

import (
	"errors"
	"testing"
	"time"

	"tether/failure"
	"tether/health/engines"
)

// A warning needs a page that cannot be read, or figures that are old; a second one needs a rest after the news that all is well.
func TestTrouble(t *testing.T) {
	late := failure.HeadTimeout
	for _, c := range []struct {
		name string
		at   []int // seconds since the server is up
		errs []error
		want int
	}{
		{"all is well", []int{1, 2}, []error{nil, nil}, 0},
		{"one late page", []int{1, 2}, []error{late, nil}, 0},
		{"late pages for 5 s", []int{1, 5}, []error{late, late}, 0},
		{"late pages for 6 s", []int{1, 6, 7}, []error{late, late, late}, 1},
		{"and one in time", []int{1, 6, 7, 8}, []error{late, late, nil, nil}, 2},
		{"an absurd page", []int{1, 2}, []error{engines.ErrAbsurd, engines.ErrForeign}, 1},
		{"an incomplete page", []int{1, 2, 3}, []error{engines.ErrIncomplete, engines.ErrIncomplete, nil}, 2},
		{"a second one soon", []int{1, 2, 600}, []error{engines.ErrAbsurd, nil, engines.ErrAbsurd}, 2},
		{"a second one later", []int{1, 2, 602}, []error{engines.ErrAbsurd, nil, engines.ErrAbsurd}, 3},
	} {
		said := 0
		tr := trouble{warn: func(string) { said++ }}
		up := time.Unix(1000, 0)
		tr.pause(up)
		for i, err := range c.errs {
			tr.note(err, up.Add(time.Duration(c.at[i])*time.Second))
		}
		if said != c.want {
			t.Errorf("%s: %d lines, want %d", c.name, said, c.want)
		}
	}
}

// Errors of connections name addresses, which operators are not shown.
func TestTroubleShowsNoAddress(t *testing.T) {
	if got := troubleWords(errors.New("dial tcp 10.0.0.1:8000: no route")); got != "no answer, or not in time" {
		t.Error(got)
	}
}
