package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// The quick run prints three tables.
func TestQuick(t *testing.T) {
	var out, problems bytes.Buffer
	if code := run(options{quick: true, seed: 1}, &out, &problems); code != 0 || problems.Len() > 0 || strings.Count(out.String(), "\n**") != 3 ||
		strings.Count(out.String(), "\n| tether |") != 3 {
		t.Errorf("%d %s\n%s", code, &problems, &out)
	}
}

func TestTraceIsMissing(t *testing.T) {
	var out, problem bytes.Buffer
	if code := run(options{files: traces{mooncake: "none.jsonl"}}, &out, &problem); code != 1 || problem.String() != "open none.jsonl: no such file or directory\n" {
		t.Errorf("%d %s", code, &problem)
	}
}

// All jobs run, and the first error in their order is returned.
func TestInParallel(t *testing.T) {
	first, later := errors.New("first"), errors.New("later")
	var done [4]bool
	var jobs []func() error
	for i, err := range []error{nil, first, nil, later} {
		jobs = append(jobs, func() error { done[i] = true; return err })
	}
	if err := inParallel(jobs); err != first || done != [4]bool{true, true, true, true} {
		t.Errorf("%v, done: %v", err, done)
	}
}
