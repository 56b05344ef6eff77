// Package jsonscan reads a JSON text once, from front to back, without a copy and without a tree. It descends only where
// its caller does, and skips every other value by its strings and brackets alone. It does not validate JSON: the server
// behind tether does.
//
// Package identity reads request bodies with it. A general reader (gjson, jsonparser) visits a body once for each field
// that is asked for, or builds a tree; a body here has one pass, whatever number of fields counts.
package jsonscan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Scanner reads one JSON text. Its methods take the next value of the text. A method that finds a value of another kind
// takes nothing, so that another method can.
type Scanner struct {
	text    []byte
	at      int    // only grows
	decoded []byte // buffer for the result of DecodedString
	files   Files
}

// Reset starts the scan of another text at an offset. The Scanner holds the text until Clear.
func (s *Scanner) Reset(text []byte, at int) { s.text, s.at, s.files = text, at, Files{} }

// Clear drops the text and erases what was decoded from it.
func (s *Scanner) Clear() {
	s.text = nil
	clear(s.decoded[:cap(s.decoded)])
}

// Offset is the offset of the next byte in the text.
func (s *Scanner) Offset() int { return s.at }

// Since returns the text from an offset up to the next byte.
func (s *Scanner) Since(offset int) []byte { return s.text[offset:s.at] }

// Members calls visit with each member of the object that text begins with. It reports whether the object exists and is
// complete. value is nil for a member without a value.
func Members(text []byte, visit func(name, value []byte)) bool {
	s := Scanner{text: text}
	return s.Object(func(name []byte) { visit(name, s.RawValue()) })
}

// Object takes an object. It calls member with the name of each member; the member's value is then the next value of the
// text, and is skipped if member does not take it. The name is valid until the scan goes on. Object reports whether the
// object exists and is complete.
func (s *Scanner) Object(member func(name []byte)) bool {
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
		if s.at == before && !s.skip(nil) {
			break
		}
		if c := s.peek(); c == '}' {
			s.at++
			return true
		} else if c != ',' {
			break
		}
		s.at++
	}
	s.leave(1, nil)
	return false
}

// Array takes an array. It calls element before each element, until element returns false. An element that element does
// not take is skipped.
func (s *Scanner) Array(element func() (more bool)) {
	if !s.takes('[') || s.takes(']') {
		return
	}
	for {
		s.peek()
		before := s.at
		if !element() || s.at == before && !s.skip(nil) {
			break
		}
		if c := s.peek(); c == ']' {
			s.at++
			return
		} else if c != ',' {
			break
		}
		s.at++
	}
	s.leave(1, nil)
}

// name takes the name of a member and the colon after it.
func (s *Scanner) name() (name []byte, ok bool) {
	if s.peek() == '"' { // most names are short, and the colon follows at once
		text := s.text[s.at+1:]
		if n, plain := stringLen(text); plain && n+1 < len(text) && text[n+1] == ':' {
			s.at += n + 3
			s.peek()
			return text[:n], true
		}
	}
	name, ok = s.DecodedString()
	if !ok || !s.takes(':') {
		return nil, false
	}
	s.peek()
	return name, true
}

// DecodedString takes a string and returns it with its escapes decoded, valid until the next call. It is for names and other
// short words: the escapes of a string of more than 1024 bytes stay as they are.
func (s *Scanner) DecodedString() (word []byte, ok bool) {
	const maxWord = 1024
	if s.peek() != '"' {
		return nil, false
	}
	text := s.text[s.at+1:]
	if n, plain := stringLen(text); plain {
		s.at += n + 2
		return text[:n], true
	}
	body, ok := s.quoted()
	if !ok || len(body) > maxWord || bytes.IndexByte(body, '\\') < 0 {
		return body, ok
	}
	s.decoded = Unescape(s.decoded[:0], body)
	return s.decoded, true
}

// RawValue takes any value and returns its text, or nil if there is no complete value.
func (s *Scanner) RawValue() []byte {
	s.peek()
	start := s.at
	if !s.skip(nil) {
		return nil
	}
	return s.text[start:s.at]
}

// Strings takes any value and calls visit with each string in it, without its quotes.
func (s *Scanner) Strings(visit func(body []byte)) { s.skip(visit) }

// skip takes any value and calls visit, if not nil, with each string in it. It reports whether there is a complete value.
func (s *Scanner) skip(visit func(body []byte)) bool {
	switch s.peek() {
	case '"':
		body, ok := s.quoted()
		if ok && visit != nil {
			visit(body)
		}
		return ok
	case '{', '[':
		s.at++
		return s.leave(1, visit)
	default:
		start := s.at
		s.at += wordLen(s.text[start:])
		return s.at > start
	}
}

// leave goes on until depth more containers were closed than opened, and calls visit, if not nil, with each string on
// the way.
func (s *Scanner) leave(depth int, visit func(body []byte)) bool {
	text, at := s.text, s.at
	for at < len(text) {
		c := text[at]
		at++
		if c == '"' {
			n := shortStringLen(text[at:])
			if n < 0 {
				if n, _ = stringLen(text[at:]); n < 0 {
					break
				}
				if n >= minFile {
					s.files.see(text[at : at+n])
				}
			}
			if visit != nil {
				visit(text[at : at+n])
			}
			if at += n + 1; at < len(text) && kinds[text[at]] == between {
				at++ // the next byte mostly begins a string
			}
			continue
		}
		turn := turns[c]
		if depth += int(turn); depth == 0 {
			s.at = at
			return true
		}
		if turn == 0 && at%8 == 0 { // long stretches without brackets, such as token ids
			at += plainLen(text[at:])
		}
	}
	s.at = len(text)
	return false
}

// shortStringLen is stringLen for strings below 8 bytes without escapes, -1 for all others.
func shortStringLen(b []byte) int {
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

// stringLen returns the length of the string that b begins with, up to its closing quote, or -1 without one. plain is true for a string
// that is known to have no escapes. The first 16 bytes are read by words: most strings are short.
func stringLen(b []byte) (n int, plain bool) {
	for at := 0; at < 16 && at+8 <= len(b); at += 8 {
		x := binary.LittleEndian.Uint64(b[at:])
		if zeros(x^'\\'*ones) != 0 {
			break
		}
		if hit := zeros(x ^ '"'*ones); hit != 0 {
			return at + bits.TrailingZeros64(hit)/8, true
		}
	}
	for end := 0; ; end++ {
		n := bytes.IndexByte(b[end:], '"')
		if n < 0 {
			return -1, false
		}
		if end += n; n == 0 || b[end-1] != '\\' || !escaped(b[:end]) {
			return end, false
		}
	}
}

// plainLen counts the bytes before the first quote or bracket of b. It reads eight at a time, and does not count the
// last bytes that are fewer.
func plainLen(b []byte) (n int) {
	for ; n+8 <= len(b); n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		y := x | 0x20*ones // turns square brackets into curly ones
		if hit := zeros(x^'"'*ones) | zeros(y^'{'*ones) | zeros(y^'}'*ones); hit != 0 {
			return n + bits.TrailingZeros64(hit)/8
		}
	}
	return n
}

const ones = 0x0101010101010101

// zeros has the highest bit set of the lowest byte of x that is zero, and none below (Mycroft's test).
func zeros(x uint64) uint64 { return (x - ones) &^ x & (0x80 * ones) }

// RawString takes a string and returns the text between its quotes, with its escapes.
func (s *Scanner) RawString() (body []byte, ok bool) {
	if s.peek() != '"' {
		return nil, false
	}
	return s.quoted()
}

// Integer takes a number that IsInteger accepts, and returns its text.
func (s *Scanner) Integer() (digits []byte, ok bool) {
	s.peek()
	text := s.text[s.at:]
	if digits = text[:wordLen(text)]; !IsInteger(digits) {
		return nil, false
	}
	s.at += len(digits)
	return digits, true
}

// quoted is RawString where the next byte is a quote. A string without its closing quote takes the rest of the text.
func (s *Scanner) quoted() (body []byte, ok bool) {
	text := s.text[s.at+1:]
	n, _ := stringLen(text)
	if n < 0 {
		s.at = len(s.text)
		return nil, false
	}
	s.at += n + 2
	if n >= minFile {
		s.files.see(text[:n])
	}
	return text[:n], true
}

// escaped reports whether the byte after b is escaped: b ends with an odd number of backslashes.
func escaped(b []byte) bool { return (len(b)-len(bytes.TrimRight(b, `\`)))%2 != 0 }

// takes skips white space and takes the byte c, if c is next.
func (s *Scanner) takes(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// peek skips white space and returns the next byte, 0 at the end of the text.
func (s *Scanner) peek() byte {
	if s.at < len(s.text) && s.text[s.at] > ' ' { // most texts have no white space
		return s.text[s.at]
	}
	return s.afterSpace()
}

// afterSpace is peek for any next byte.
func (s *Scanner) afterSpace() byte {
	for ; s.at < len(s.text); s.at++ {
		if c := s.text[s.at]; kinds[c] != blank {
			return c
		}
	}
	return 0
}

// wordLen returns the length of the number or word that b begins with, 0 for none.
func wordLen(b []byte) (n int) {
	for n < len(b) && kinds[b[n]] == plain {
		n++
	}
	return n
}

// kind is the meaning of a byte outside of strings.
type kind uint8

const (
	plain kind = iota // of numbers and words
	blank
	between
	other
)

var kinds = func() (t [256]kind) {
	for _, c := range " \t\r\n" {
		t[c] = blank
	}
	t[','], t[':'] = between, between
	t['"'], t['{'], t['['], t['}'], t[']'] = other, other, other, other, other
	return t
}()

// turns is the change of depth by a byte outside of strings.
var turns = func() (t [256]int8) {
	t['{'], t['['], t['}'], t[']'] = 1, 1, -1, -1
	return t
}()

// IsInteger reports whether a JSON value is a number that is written as an integer. -0 is not: some readers take it for 0,
// others for a fraction.
func IsInteger(value []byte) bool {
	digits := bytes.TrimPrefix(value, []byte("-"))
	if len(digits) == 0 || digits[0] == '0' && len(value) > 1 {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Unquote returns the text between the quotes of a JSON string; ok is false for any other value.
func Unquote(value []byte) (body []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return value[1 : len(value)-1], true
}
