package jsonscan

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Unescape appends the decoded text of the body of a JSON string. Broken escapes stay as they are.
func Unescape(dst, body []byte) []byte {
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

// unescapeOne appends the decoded escape at the start of b, and returns the escape's length.
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
			if utf16.IsSurrogate(r) {
				low, _ := hex4(b[6:])
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return utf8.AppendRune(dst, pair), 12
				}
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
	h := [...]int32{digits[b[2]], digits[b[3]], digits[b[4]], digits[b[5]]}
	r = h[0]<<12 | h[1]<<8 | h[2]<<4 | h[3]
	return r, r >= 0
}

// digits holds the values of hexadecimal digits, and -1 for all other bytes.
var digits = func() (t [256]int32) {
	for c := range t {
		t[c] = -1
	}
	for n := range int32(10) {
		t['0'+n] = n
	}
	for n := range int32(6) {
		t['a'+n], t['A'+n] = 10+n, 10+n
	}
	return t
}()

// NormalizeEscapes appends the escapes that b begins with in one of the several ways in which JSON can write them:
// characters that need no escape have none. It returns the length of what it read, of one escape or more.
func NormalizeEscapes(dst, b []byte) ([]byte, int) {
	n := 0
	for len(b)-n >= 6 && cap(dst)-len(dst) >= utf8.UTFMax {
		r, ok := hex4(b[n:])
		if !ok || r < utf8.RuneSelf || utf16.IsSurrogate(r) {
			break
		}
		if r < 0x800 {
			dst = append(dst, byte(0xc0|r>>6), byte(0x80|r&0x3f))
		} else {
			dst = append(dst, byte(0xe0|r>>12), byte(0x80|r>>6&0x3f), byte(0x80|r&0x3f))
		}
		n += 6
	}
	if n > 0 {
		return dst, n
	}
	start := len(dst)
	dst, n = unescapeOne(dst, b)
	if i := strings.IndexByte("\b\f\n\r\t\"\\", dst[start]); i >= 0 {
		dst = append(dst[:start], '\\', "bfnrt\"\\"[i])
	}
	return dst, n
}
