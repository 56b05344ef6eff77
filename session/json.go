package session

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// The scan of JSON texts: it finds members where they are, in one pass and without a copy, a tree or recursion. It
// skips values by strings and brackets alone; what only looks like JSON is for the server to refuse.

// members calls visit with each member of the object that text begins with, and reports whether the object was
// there and complete. key is what the member's name spells; value has no white space around it.
func members(text []byte, visit func(key, value []byte)) bool {
	return each(text, '{', '}', func(item []byte) []byte {
		if len(item) == 0 || item[0] != '"' {
			return nil
		}
		end := stringEnd(item)
		if end < 0 {
			return nil
		}
		rest := skipSpace(item[end:])
		if len(rest) == 0 || rest[0] != ':' {
			return nil
		}
		rest = skipSpace(rest[1:])
		n := valueEnd(rest)
		if n <= 0 {
			return nil
		}
		visit(keyText(item[1:end-1]), rest[:n])
		return rest[n:]
	})
}

// elements calls visit with each element of the array that text begins with, until it returns false.
func elements(text []byte, visit func(value []byte) (more bool)) {
	each(text, '[', ']', func(item []byte) []byte {
		n := valueEnd(item)
		if n <= 0 {
			return nil
		}
		if !visit(item[:n]) {
			return nil
		}
		return item[n:]
	})
}

// each goes over the items of the container that text begins with: take consumes one item and gives what follows
// it, or nil to stop.
func each(text []byte, opens, closes byte, take func(item []byte) (rest []byte)) bool {
	text = skipSpace(text)
	if len(text) == 0 || text[0] != opens {
		return false
	}
	text = skipSpace(text[1:])
	if len(text) > 0 && text[0] == closes {
		return true
	}
	for len(text) > 0 {
		if text = skipSpace(take(text)); len(text) == 0 {
			return false
		}
		if text[0] == closes {
			return true
		}
		if text[0] != ',' {
			return false
		}
		text = skipSpace(text[1:])
	}
	return false
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// stringEnd is the length of the string that b begins with, quotes included, or -1 when it does not end.
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		escapes := 0
		for b[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
	return -1
}

// valueEnd is the length of the value that b begins with: 0 when there is none, -1 when it does not end.
func valueEnd(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"':
		return stringEnd(b)
	case '{', '[':
		return containerEnd(b)
	}
	for i, c := range b {
		switch c {
		case ',', '}', ']', ':', '"', '{', '[', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return len(b)
}

func containerEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := stringEnd(b[i:])
			if n < 0 {
				return -1
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// stringBody gives what is between the quotes of a JSON string, or ok false for any other value.
func stringBody(value []byte) (body []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return value[1 : len(value)-1], true
}

// keyText is what the body of a member's name spells. Names with escapes are rare; very long ones are nobody's.
func keyText(body []byte) []byte {
	if bytes.IndexByte(body, '\\') < 0 || len(body) > 1024 {
		return body
	}
	return unescape(nil, body)
}

// unescape appends the text that the body of a JSON string spells. Broken escapes stay as they are.
func unescape(dst, body []byte) []byte {
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 || i+1 == len(body) {
			return append(dst, body...)
		}
		dst = append(dst, body[:i]...)
		var n int
		dst, n = unescapeOne(dst, body[i:])
		body = body[i+n:]
	}
}

// unescapeOne appends what the escape at the start of b spells, and gives its length.
func unescapeOne(dst, b []byte) ([]byte, int) {
	switch b[1] {
	case 'n':
		return append(dst, '\n'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case '"', '\\', '/':
		return append(dst, b[1]), 2
	case 'u':
		if r, ok := hex4(b); ok {
			if low, ok := hex4(b[6:]); ok && utf16.IsSurrogate(r) {
				return utf8.AppendRune(dst, utf16.DecodeRune(r, low)), 12
			}
			return utf8.AppendRune(dst, r), 6
		}
	}
	return append(dst, b[0]), 1
}

// hex4 reads \uXXXX.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
