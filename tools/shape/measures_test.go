package main

import (
	"strings"
	"testing"
)

const list = "# A\n\n## Words of routing\n\nThe list:\n\n```\na.A      the first one\na.g      the second one\n\n```\n\n```\nnot.This\n```\n"

var small = map[string]string{
	"main.go":              "package main\n\nfunc main() {}\n",
	"a/a.go":               "package a\n\ntype A struct{}\n\nfunc (a A) B() {}\n",
	"docs/ARCHITECTURE.md": list,
}

func TestTables(t *testing.T) {
	var out, errors strings.Builder
	if code := run(write(t, small), &out, &errors); code != 0 || errors.Len() > 0 {
		t.Errorf("%d: %s", code, &errors)
	}
	for _, row := range []string{
		"| a | 1 | 5 | 2 | A | 1 |", "| exported names of the biggest package | 2 | 60 | a |", "| methods of the biggest type | 1 | 20 | a A |",
		"| concepts to hold to change the routing of a request | 2 | 45 | docs/ARCHITECTURE.md |",
		"| lines per function, median / p90 / max | 1 / 1 / 1 | 9 / 21 / 60 |  |", "| non-test lines | 8 | 23383, not held |  |",
	} {
		if !strings.Contains(out.String(), row+"\n") {
			t.Errorf("no row %s:\n%s", row, &out)
		}
	}
}

func TestExceeded(t *testing.T) {
	long := "package a\n\nfunc A() {\n" + strings.Repeat("\n", 60) + "}\n"
	var out, errors strings.Builder
	if code := run(write(t, map[string]string{"a/a.go": long}), &out, &errors); code != 1 ||
		errors.String() != "exceeded: lines per function, median / p90 / max: 62 / 62 / 62, limit 9 / 21 / 60\n" {
		t.Errorf("%d: %s", code, &errors)
	}
	if code := run("no-such-folder", &out, &errors); code != 1 {
		t.Error("a folder that does not exist is no error")
	}
}
