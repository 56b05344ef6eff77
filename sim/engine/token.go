package engine

import "strings"

// Token is one token id. The id of a piece of text holds the bytes of that piece, the first one in the lowest place. Text
// and ids can therefore be turned into each other without a vocabulary, and a prompt hits the same cache blocks in both
// forms.
type Token uint32

// tokenBytes is the length of the longest piece of text that is one token.
const tokenBytes = 4

// Tokenize cuts text into pieces of at most four bytes that never cross the start of a word. Because of the cuts at words,
// the tokens of an answer stay the same when the answer is sent back in the middle of the next prompt.
func Tokenize(text string) []Token {
	tokens := make([]Token, 0, len(text)/tokenBytes+1)
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

func pack(piece string) Token {
	var t Token
	for i := len(piece) - 1; i >= 0; i-- {
		t = t<<8 | Token(piece[i])
	}
	return t
}

// Text returns the piece of text that the token stands for.
func (t Token) Text() string {
	b := make([]byte, 0, tokenBytes)
	for ; t > 0; t >>= 8 {
		b = append(b, byte(t))
	}
	return string(b)
}

// Detokenize returns the text that the tokens stand for.
func Detokenize(tokens []Token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.Text())
	}
	return b.String()
}
