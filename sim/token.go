package sim

import "strings"

// token is one token id. The id of a piece of text holds its bytes, the first in the lowest place, so that text and ids
// can be turned into each other without a vocabulary, and a prompt hits the same cache blocks in both forms.
type token uint32

// tokenBytes is the longest piece of text that is one token.
const tokenBytes = 4

// tokenize cuts text into pieces of at most four bytes that never cross the start of a word. Cutting at words and not
// only by length keeps the tokens of an answer the same when it comes back in the middle of the next prompt.
func tokenize(text string) []token {
	tokens := make([]token, 0, len(text)/tokenBytes+1)
	for len(text) > 0 {
		n := pieceLen(text)
		tokens = append(tokens, pack(text[:n]))
		text = text[n:]
	}
	return tokens
}

func pieceLen(text string) int {
	n := min(len(text), tokenBytes)
	if i := strings.IndexByte(text[1:n], ' '); i >= 0 {
		return i + 1
	}
	return n
}

func pack(piece string) token {
	var t token
	for i := len(piece) - 1; i >= 0; i-- {
		t = t<<8 | token(piece[i])
	}
	return t
}

// text is the inverse of pack.
func (t token) text() string {
	b := make([]byte, 0, tokenBytes)
	for ; t > 0; t >>= 8 {
		b = append(b, byte(t))
	}
	return string(b)
}

func detokenize(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.text())
	}
	return b.String()
}
