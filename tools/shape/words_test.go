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

// root is this repository.
const root = "../.."

// Every word of routing names a declaration, so that the list does not outlive the code.
func TestWordsOfRoutingExist(t *testing.T) {
	tr, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, p := range tr.packages {
		for _, f := range p.files {
			for _, d := range f.Decls {
				for _, n := range names(d) {
					declared[p.name+"."+n.Name] = true
				}
			}
		}
	}
	words := tr.words()
	if len(words) == 0 {
		t.Error("docs/ARCHITECTURE.md has no list of words")
	}
	for i, w := range words {
		if !declared[w] {
			t.Errorf("no package declares %s", w)
		}
		if slices.Contains(words[:i], w) {
			t.Errorf("%s is in the list twice", w)
		}
	}
}
