package main

import (
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	if got := readFiles(t, small).words(); !slices.Equal(got, []string{"a.A", "a.g"}) {
		t.Errorf("%v", got)
	}
	if got := readFiles(t, map[string]string{"a.go": "package a\n"}).words(); got != nil {
		t.Errorf("%v", got)
	}
}
