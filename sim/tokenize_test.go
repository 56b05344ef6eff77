package sim

import "testing"

func TestTokenizeCalls(t *testing.T) {
	s := start(t, Config{})
	checkAnswer(t, s, "/tokenize", `{"messages":[{"role":"user","content":"x"}]}`, `"count":`)
	checkAnswer(t, s, "/detokenize", `{"tokens":[1819043144,111]}`, `{"prompt":"Hello"}`)
}
