package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var compareTurns = cmp.AllowUnexported(turn{})

// Without names of sessions, the longest prefix connects the turns. Block 0 is in all prompts and connects none.
func TestConversationsByPrefix(t *testing.T) {
	lines := []string{
		`{"timestamp": 0, "input_length": 1500, "output_length": 30, "hash_ids": [0, 1, 2]}`,
		`{"timestamp": 1000, "input_length": 1500, "output_length": 30, "hash_ids": [0, 3, 4]}`,
		`{"timestamp": 60000, "input_length": 2000, "output_length": 30, "hash_ids": [0, 1, 2, 5]}`,
		`{"timestamp": 999000, "input_length": 1600, "output_length": 0, "hash_ids": [0, 1, 6, 7]}`,
	}
	for range 80 { // so that no other block is in 5 % of the prompts
		lines = append(lines, `{"input_length": 512, "output_length": 1, "hash_ids": [0]}`)
	}
	all, err := parseTrace(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	want := []conversation{
		{
			{prompt: 1500, answer: 30},
			{prompt: 2000, kept: 1500, answer: 30, think: 58_906_250 * time.Microsecond, at: time.Minute},
			{prompt: 1600, kept: 1024, answer: 1, think: longestThink, at: 999 * time.Second},
		},
		{{prompt: 1500, answer: 30, at: time.Second}},
	}
	if diff := cmp.Diff(want, all[:2], compareTurns); diff != "" || len(all) != 82 {
		t.Errorf("%d conversations\n%s", len(all), diff)
	}
}

// With names, a line has only what its turn adds.
func TestConversationsBySession(t *testing.T) {
	all, err := parseTrace(strings.NewReader(`
{"session_id": "a", "input_length": 1000, "output_length": 10, "timestamp": 2.5}
{"session_id": "b", "input_length": 500, "output_length": 10}
{"session_id": "a", "input_length": 30, "output_length": 5, "delay": 1500}`[1:]))
	want := []conversation{
		{{prompt: 1000, answer: 10, at: 2500 * time.Microsecond}, {prompt: 1040, kept: 1000, answer: 5, think: 1500 * time.Millisecond}},
		{{prompt: 500, answer: 10}},
	}
	if diff := cmp.Diff(want, all, compareTurns); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestBadTraces(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"":                         "no records",
		"{":                        "line 1: unexpected end of JSON input",
		`{"input_length": 0}`:      "line 1: input_length 0, want at least 1",
		strings.Repeat(" ", 1<<20): "bufio.Scanner: token too long",
	} {
		path := filepath.Join(dir, "trace")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readTrace(path); err == nil || err.Error() != path+": "+want {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	if _, err := readTrace(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Error(err)
	}
}
