package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTokenize(t *testing.T) {
	for text, want := range map[string][]string{
		"":                {},
		"Hello there":     {"Hell", "o", " the", "re"},
		"  a":             {" ", " a"},
		"abcdefgh":        {"abcd", "efgh"},
		"äöü":             {"ä" + "ö", "ü"},
		"a sun\nsea moon": {"a", " sun", "\nsea", " moo", "n"},
	} {
		got := []string{}
		for _, tok := range Tokenize(text) {
			got = append(got, tok.Text())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", text, d)
		}
		if back := Detokenize(Tokenize(text)); back != text {
			t.Errorf("%q is %q after Detokenize", text, back)
		}
	}
}
