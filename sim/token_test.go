package sim

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
		for _, tok := range tokenize(text) {
			got = append(got, tok.text())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", text, d)
		}
		if back := detokenize(tokenize(text)); back != text {
			t.Errorf("%q came back as %q", text, back)
		}
	}
}

// An answer must be made of the same tokens when it stands in the next prompt, or no generated block would be found again.
func TestAnswersKeepTheirTokens(t *testing.T) {
	for _, prompt := range []string{"a", "ab", "abc", "abcd", "abcde", "user\nhi there<|im_end|>\n<|im_start|>assistant\n"} {
		tokens := tokenize(prompt)
		answer := ""
		for i := range 50 {
			tokens = append(tokens, word(7, i))
			answer += word(7, i).text()
		}
		if d := cmp.Diff(tokens, tokenize(prompt+answer)); d != "" {
			t.Errorf("after %q: %s", prompt, d)
		}
	}
}
