package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBlockChain(t *testing.T) {
	tokens := Tokenize("one two three four five six seven eight nine ten")
	a, b := blockChain(1, tokens, 4), blockChain(1, tokens[:len(tokens)-1], 4)
	if len(a) != len(tokens)/4 {
		t.Errorf("%d blocks of %d tokens", len(a), len(tokens))
	}
	for i := range b {
		if a[i] != b[i] {
			t.Errorf("block %d differs for a shorter prompt", i)
		}
	}
	if blockChain(2, tokens, 4)[0] == a[0] {
		t.Error("another seed gives the same block")
	}
}

// An answer must consist of the same tokens when it is part of the next prompt. Otherwise no generated block would be found again.
func TestAnswersKeepTheirTokens(t *testing.T) {
	for _, prompt := range []string{"a", "ab", "abc", "abcd", "abcde", "user\nhi there<|im_end|>\n<|im_start|>assistant\n"} {
		tokens := Tokenize(prompt)
		answer := ""
		for i := range 50 {
			tokens = append(tokens, word(7, i))
			answer += word(7, i).Text()
		}
		if d := cmp.Diff(tokens, Tokenize(prompt+answer)); d != "" {
			t.Errorf("after %q: %s", prompt, d)
		}
	}
}
