package session

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scan goes over a JSON text from front to back, once: without a copy or a tree, and no deeper than its user goes down.
// It skips values by strings and brackets alone; what only looks like JSON is for the server to refuse.
//
// Its methods take what comes next in the text. One that finds something else there leaves it to be taken by another.
type scan struct {
	text []byte
	at   int    // grows only
	room []byte // for what a word with escapes spells
}

// members calls visit with each member of the object that text begins with, and reports whether the object was there
// and complete. value is nil where there is none.
func members(text []byte, visit func(name, value []byte)) bool {
	s := scan{text: text}
	return s.object(func(name []byte) { visit(name, s.value()) })
}

// object takes an object and calls member with the name of each member, valid until the scan goes on, when its value
// comes next. A value that member leaves is skipped. It reports whether the object was there and complete.
func (s *scan) object(member func(name []byte)) bool {
	if !s.takes('{') {
		return false
	}
	if s.takes('}') {
		return true
	}
	for {
		name, ok := s.name()
		if !ok {
			break
		}
		before := s.at
		member(name)
		if s.at == before && !s.pass(nil) {
			break
		}
		if s.takes('}') {
			return true
		}
		if !s.takes(',') {
			break
		}
	}
	s.skip(1, nil)
	return false
}

// array takes an array and calls element when an element comes next, until it returns false. What it leaves is skipped.
func (s *scan) array(element func() (more bool)) {
	if !s.takes('[') || s.takes(']') {
		return
	}
	for {
		s.space()
		before := s.at
		if !element() || s.at == before && !s.pass(nil) {
			break
		}
		if s.takes(']') {
			return
		}
		if !s.takes(',') {
			break
		}
	}
	s.skip(1, nil)
}

// name takes the name of a member and the colon behind it.
func (s *scan) name() (name []byte, ok bool) {
	name, ok = s.word()
	if !ok || !s.takes(':') {
		return nil, false
	}
	s.space()
	return name, true
}

// word takes a string and gives what it spells, valid until the next word. Words with escapes are rare; very long ones
// are nobody's.
func (s *scan) word() (word []byte, ok bool) {
	const longest = 1024
	body, ok := s.string()
	if !ok || len(body) > longest || bytes.IndexByte(body, '\\') < 0 {
		return body, ok
	}
	s.room = unescape(s.room[:0], body)
	return s.room, true
}

// value takes any value and gives its text, nil where there is none or it does not end.
func (s *scan) value() []byte {
	s.space()
	start := s.at
	if !s.pass(nil) {
		return nil
	}
	return s.text[start:s.at]
}

// pass takes any value, shows the strings in it to visit, if that is not nil, and reports whether there was a value and
// it ended.
func (s *scan) pass(visit func(body []byte)) bool {
	s.space()
	switch start := s.at; s.next() {
	case quote:
		body, ok := s.quoted()
		if ok && visit != nil {
			visit(body)
		}
		return ok
	case opens:
		s.at++
		return s.skip(1, visit)
	default:
		for s.next() == plain {
			s.at++
		}
		return s.at > start
	}
}

// skip goes on until depth more containers were closed than opened, and shows the strings on the way to visit.
func (s *scan) skip(depth int, visit func(body []byte)) bool {
	text, at := s.text, s.at
	for at < len(text) {
		c := text[at]
		at++
		if c == '"' {
			n := shortLen(text[at:])
			if n < 0 {
				if n = bodyLen(text[at:]); n < 0 {
					break
				}
			}
			if visit != nil {
				visit(text[at : at+n])
			}
			if at += n + 1; at < len(text) && kinds[text[at]] == between {
				at++ // what comes next is mostly a string
			}
			continue
		}
		turn := turns[c]
		if depth += int(turn); depth == 0 {
			s.at = at
			return true
		}
		if turn == 0 && at%8 == 0 { // long stretches, of token ids say
			at += quiet(text[at:])
		}
	}
	s.at = len(text)
	return false
}

// shortLen is bodyLen of strings below 8 bytes, -1 of all others.
func shortLen(b []byte) int {
	if len(b) < 8 {
		return -1
	}
	x := binary.LittleEndian.Uint64(b)
	hit := zeros(x ^ '"'*ones)
	if hit == 0 || zeros(x^'\\'*ones) != 0 {
		return -1
	}
	return bits.TrailingZeros64(hit) / 8
}

// bodyLen is the length of the body of a string that b begins with, -1 where it does not end. Most strings are short.
func bodyLen(b []byte) int {
	for at := 0; at < 16 && at+8 <= len(b); at += 8 {
		x := binary.LittleEndian.Uint64(b[at:])
		if zeros(x^'\\'*ones) != 0 {
			break
		}
		if hit := zeros(x ^ '"'*ones); hit != 0 {
			return at + bits.TrailingZeros64(hit)/8
		}
	}
	for end := 0; ; end++ {
		n := bytes.IndexByte(b[end:], '"')
		if n < 0 {
			return -1
		}
		if end += n; n == 0 || b[end-1] != '\\' || !escaped(b[:end]) {
			return end
		}
	}
}

// quiet counts bytes at the start of b that are no quote and no bracket, eight at a time.
func quiet(b []byte) (n int) {
	for ; n+8 <= len(b); n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		y := x | 0x20*ones // of a square bracket it makes a curly one
		if hit := zeros(x^'"'*ones) | zeros(y^'{'*ones) | zeros(y^'}'*ones); hit != 0 {
			return n + bits.TrailingZeros64(hit)/8
		}
	}
	return n
}

const ones = 0x0101010101010101

// zeros has the highest bit set of the lowest byte of x that is zero, and none below (Mycroft's test).
func zeros(x uint64) uint64 { return (x - ones) &^ x & (0x80 * ones) }

// string takes a string and gives what is between its quotes.
func (s *scan) string() (body []byte, ok bool) {
	s.space()
	if s.next() != quote {
		return nil, false
	}
	return s.quoted()
}

// quoted is string where a quote comes next. A string that does not end takes all that there is.
func (s *scan) quoted() (body []byte, ok bool) {
	text := s.text[s.at+1:]
	n := bodyLen(text)
	if n < 0 {
		s.at = len(s.text)
		return nil, false
	}
	s.at += n + 2
	return text[:n], true
}

// escaped reports whether what follows b is escaped: by a backslash that is none itself.
func escaped(b []byte) bool { return (len(b)-len(bytes.TrimRight(b, `\`)))%2 != 0 }

// takes takes the byte c.
func (s *scan) takes(c byte) bool {
	s.space()
	if s.at == len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scan) space() {
	for s.next() == blank {
		s.at++
	}
}

// next is the kind of the byte that comes next.
func (s *scan) next() kind {
	if s.at == len(s.text) {
		return end
	}
	return kinds[s.text[s.at]]
}

// kind is what a byte outside of strings is to the scan.
type kind uint8

const (
	plain kind = iota // of numbers and words
	blank
	between
	quote
	opens
	closes
	end // of the text
)

var kinds = func() (t [256]kind) {
	for _, c := range " \t\r\n" {
		t[c] = blank
	}
	t[','], t[':'], t['"'] = between, between, quote
	t['{'], t['['], t['}'], t[']'] = opens, opens, closes, closes
	return t
}()

// turns are how much deeper a byte outside of strings leads.
var turns = func() (t [256]int8) {
	t['{'], t['['], t['}'], t[']'] = 1, 1, -1, -1
	return t
}()

// stringBody gives what is between the quotes of a JSON string, or ok false for any other value.
func stringBody(value []byte) (body []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return value[1 : len(value)-1], true
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

// digits are the values of hexadecimal digits, and below zero for other bytes.
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

// respell appends the one way in which tether writes the escapes that b begins with, of the several that JSON has: what
// need not be escaped is not. It gives their length, that of one escape or more.
func respell(dst, b []byte) ([]byte, int) {
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
