package http1

import (
	"encoding/binary"
	"math/bits"
)

// Byte classes of the grammar, RFC 9110 5.6.2 and 5.5.
const (
	isToken  = 1 << iota // a byte of a token: methods and field names
	isValue              // a byte of a field value: visible ASCII, space, tab, obs-text
	isTarget             // a byte of a request target: visible ASCII but " # < > ^ ` { | }
	isHost               // a byte of a host's name
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			t[c] = isToken | isTarget | isHost
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= isValue
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= isToken
	}
	for _, c := range "!$%&'()*+,-./:;=?@[\\]_~" {
		t[c] |= isTarget
	}
	for _, c := range "-._~" {
		t[c] |= isHost
	}
	return t
}()

// EqualFold reports whether b equals lower without regard to case; lower is ASCII in lower case.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if toLower(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

// toLower returns c in lower case, for ASCII.
func toLower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// Trim cuts spaces and tabs off both ends of b.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// CutPrefixFold returns b without the prefix lower, and whether b begins with lower without regard to case. lower is ASCII in lower
// case.
func CutPrefixFold(b []byte, lower string) (after []byte, found bool) {
	if len(b) < len(lower) || !EqualFold(b[:len(lower)], lower) {
		return b, false
	}
	return b[len(lower):], true
}

// IsToken reports whether s is a token (RFC 9110 5.6.2): it can be the name of a field or of a cookie.
func IsToken(s string) bool { return s != "" && span([]byte(s), isToken) == len(s) }

// FoldName writes a field name into buf in lower case, with "-" for "_", and returns it, or nil if buf is too short. Servers that
// read names as CGI does cannot tell the two spellings apart, so a rule about one spelling must hold for both.
func FoldName(buf, name []byte) []byte {
	if len(name) > len(buf) {
		return nil
	}
	buf = buf[:len(name)]
	for i, c := range name {
		buf[i] = folded[c]
	}
	return buf
}

// folded has each byte as FoldName writes it.
var folded = func() (t [256]byte) {
	for c := range t {
		t[c] = toLower(byte(c))
	}
	t['_'] = '-'
	return t
}()

// span counts the leading bytes of p that are of the class.
func span(p []byte, of uint8) int {
	for i, c := range p {
		if class[c]&of == 0 {
			return i
		}
	}
	return len(p)
}

// tokenSpan is span for isToken. It takes eight bytes at a time, and looks up those that are neither letters nor hyphens. valueSpan has the same
// loop: to call for the marks of each eight bytes would make a guard 18 % slower.
func tokenSpan(p []byte) int {
	rest := p
	for len(rest) >= 8 {
		others := notLetters(binary.LittleEndian.Uint64(rest))
		if others == 0 {
			rest = rest[8:]
			continue
		}
		rest = rest[bits.TrailingZeros64(others)/8:]
		if class[rest[0]]&isToken == 0 {
			return len(p) - len(rest)
		}
		rest = rest[1:]
	}
	return len(p) - len(rest) + span(rest, isToken)
}

// valueSpan is span for isValue. It takes eight bytes at a time, and looks up control bytes: one of them, the tab, is of the class.
func valueSpan(p []byte) int {
	rest := p
	for len(rest) >= 8 {
		others := controls(binary.LittleEndian.Uint64(rest))
		if others == 0 {
			rest = rest[8:]
			continue
		}
		rest = rest[bits.TrailingZeros64(others)/8:]
		if class[rest[0]]&isValue == 0 {
			return len(p) - len(rest)
		}
		rest = rest[1:]
	}
	return len(p) - len(rest) + span(rest, isValue)
}

// everyByte has a 1 in each of its eight bytes: n*everyByte has an n in each.
const everyByte = 0x0101010101010101

// notLetters marks the bytes of w that are neither letters nor hyphens, by their highest bits.
func notLetters(w uint64) uint64 {
	ascii := w & (0x7f * everyByte)
	lower := ascii | 0x20*everyByte
	letters := (lower + (0x80-'a')*everyByte) &^ (lower + (0x7f-'z')*everyByte)
	notHyphens := (ascii ^ '-'*everyByte) + 0x7f*everyByte
	return (notHyphens&^letters | w) & (0x80 * everyByte)
}

// controls marks the first control byte of w, below 0x20 or 0x7f, by its highest bit. The marks behind the first one may be wrong:
// a subtraction borrows from the byte behind one that it marks.
func controls(w uint64) uint64 {
	del := w ^ 0x7f*everyByte // 0 for each 0x7f
	return ((w-0x20*everyByte)&^w | (del-everyByte)&^del) & (0x80 * everyByte)
}
