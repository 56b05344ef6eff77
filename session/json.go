package session

import (
	"bytes"
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
		body, ok := s.string()
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
	for depth > 0 {
		for s.at < len(s.text) && kinds[s.text[s.at]] < quote {
			s.at++
		}
		switch s.next() {
		case opens:
			depth++
			s.at++
		case closes:
			depth--
			s.at++
		default:
			body, ok := s.string()
			if !ok {
				return false
			}
			if visit != nil {
				visit(body)
			}
		}
	}
	return true
}

// string takes a string and gives what is between its quotes. One that does not end takes all that there is.
func (s *scan) string() (body []byte, ok bool) {
	s.space()
	if s.next() != quote {
		return nil, false
	}
	s.at++
	for start := s.at; ; {
		n := bytes.IndexByte(s.text[s.at:], '"')
		if n < 0 {
			s.at = len(s.text)
			return nil, false
		}
		s.at += n + 1
		body = s.text[start : s.at-1]
		if escapes := len(body) - len(bytes.TrimRight(body, `\`)); escapes%2 == 0 {
			return body, true
		}
	}
}

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

// respell appends the one way in which tether writes the escape at the start of b, of the several that JSON has, and
// gives the length of the escape: what need not be escaped is not.
func respell(dst, b []byte) ([]byte, int) {
	start := len(dst)
	dst, n := unescapeOne(dst, b)
	if i := strings.IndexByte("\b\f\n\r\t\"\\", dst[start]); i >= 0 && n > 1 {
		dst = append(dst[:start], '\\', "bfnrt\"\\"[i])
	}
	return dst, n
}
