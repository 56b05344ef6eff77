package main

import (
	"slices"
	"testing"
)

const kindsOfTest = `package failure

type Kind uint8

const (
	None Kind = iota
	Refused
	Cut
)

const Other = 1

var words = [...]struct{ word, text string }{Refused: {"refused", "connection refused"}, Cut: {"cut", "connection cut"}}
`

func TestJudges(t *testing.T) {
	for body, want := range map[string]int{
		"switch k {\ncase failure.Refused:\ncase failure.Cut:\n}":                                                1,
		"switch {\ncase k == failure.Refused, k == failure.Cut:\n}":                                              1,
		"switch {\ncase k == failure.Refused, k == failure.Refused, k == 1:\n}":                                  0,
		"switch k {\ncase failure.Refused:\ncase failure.Other:\n}":                                              0,
		"switch n {\ncase 1:\n\tk = failure.Refused\ncase 2:\n\tk = failure.Cut\n}":                              0,
		"if k == failure.Refused {\n} else if k == failure.Cut {\n}":                                             1,
		"if k == failure.Refused {\n} else if n == 1 {\n} else if k == failure.Cut {\n}":                         1,
		"if k == failure.Refused {\n}":                                                                           0,
		"_ = map[failure.Kind]int{failure.Refused: 1, failure.Cut: 2}":                                           1,
		"_ = [...]struct{ n int; s string }{failure.Refused: {1, `a`}, failure.Cut: {2, `b`}}":                   1,
		"_ = map[failure.Kind]string{failure.Refused: `a`, failure.Cut: `b`}":                                    0,
		"switch k {\ncase failure.Refused:\ncase failure.Cut:\n}\nif k == failure.Cut || k == failure.None {\n}": 2,
	} {
		tr := readFiles(t, map[string]string{"failure/f.go": kindsOfTest, "a/a.go": "package a\n\nfunc F(k failure.Kind, n int) {\n" + body + "\n}\n"})
		if got := tr.judges(); len(got) != want || want > 0 && got[0] != "a F" {
			t.Errorf("%d places %v, want %d:\n%s", len(got), got, want, body)
		}
	}
}

// The package of the kinds names them without its own name.
func TestKindsWithoutTheirPackage(t *testing.T) {
	tr := readFiles(t, map[string]string{"failure/f.go": kindsOfTest, "failure/g.go": "package failure\n\nvar weights = map[Kind]int{Refused: 1, Cut: 2}\n"})
	if got := tr.judges(); !slices.Equal(got, []string{"failure weights"}) {
		t.Errorf("%v", got)
	}
}
