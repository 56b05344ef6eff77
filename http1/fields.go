package http1

import "bytes"

// Fields goes over the field lines of a head that a Guard or ParseHead accepted:
//
//	for f := http1.NewFields(lines); f.Next(); {
//		use(f.Name, f.Value)
//	}
type Fields struct {
	rest []byte

	// Line is the whole line with its CRLF, Name the field name as sent, Value the value without white space
	// around it. They are parts of the slice given to NewFields.
	Line, Name, Value []byte
}

// NewFields starts at the first of lines, which end with CRLF each; a blank line ends them.
func NewFields(lines []byte) Fields { return Fields{rest: lines} }

// Next steps to the next field and reports whether there is one.
func (f *Fields) Next() bool {
	end := bytes.IndexByte(f.rest, '\n')
	if end < 2 {
		return false
	}
	f.Line, f.rest = f.rest[:end+1], f.rest[end+1:]
	colon := bytes.IndexByte(f.Line, ':')
	if colon < 0 {
		return false
	}
	f.Name, f.Value = f.Line[:colon], Trim(f.Line[colon+1:end-1])
	return true
}

// HasToken reports whether the comma-separated list has the token lower, in any case.
func HasToken(list []byte, lower string) bool {
	for len(list) > 0 {
		var item []byte
		item, list = NextToken(list)
		if EqualFold(item, lower) {
			return true
		}
	}
	return false
}

// CutPrefixFold gives what follows lower in b, and reports whether b begins with that, in any case.
func CutPrefixFold(b []byte, lower string) (after []byte, found bool) {
	if len(b) < len(lower) || !EqualFold(b[:len(lower)], lower) {
		return b, false
	}
	return b[len(lower):], true
}

// NamesFields reports whether a value of Connection names fields that are meant for this hop: anything but close and
// keep-alive.
func NamesFields(list []byte) bool {
	for len(list) > 0 {
		var item []byte
		if item, list = NextToken(list); len(item) > 0 && !EqualFold(item, "close") && !EqualFold(item, "keep-alive") {
			return true
		}
	}
	return false
}

// maxConnection bounds the values of a head's Connection fields together, in bytes. Each name in them is compared with
// each field.
const maxConnection = 256

// NextToken cuts the first item off a comma-separated list, white space around it removed.
func NextToken(list []byte) (item, rest []byte) {
	item, rest, _ = bytes.Cut(list, []byte{','})
	return Trim(item), rest
}

// IsToken reports whether s can be a field name, or the name of a cookie (RFC 9110 5.6.2).
func IsToken(s string) bool { return s != "" && span([]byte(s), isToken) == len(s) }

// FoldName writes a field name into room in lower case, with "-" for "_", and gives it; nil when room is too small. Servers
// that read names as CGI does take the one for the other, so what counts under one spelling counts under both.
func FoldName(room, name []byte) []byte {
	if len(name) > len(room) {
		return nil
	}
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		room[i] = Lower(c)
	}
	return room[:len(name)]
}

// Param is the parameter of that name in a value such as multipart/form-data; boundary=b, the last one if there are more. What
// cannot be read as a parameter is passed over, and a value without quotes goes on to the next semicolon: so do servers read
// forms, more freely than RFC 9110 5.6.6 has it.
func Param(value []byte, name string) (param []byte, found bool) {
	for _, rest, more := bytes.Cut(value, []byte{';'}); more; {
		var key, got []byte
		key, got, rest, more = cutParam(rest)
		if EqualFold(key, name) && got != nil {
			param, found = got, true
		}
	}
	return param, found
}

// cutParam takes a parameter off list, which more of them follow, if more is true. A name without a value has nil.
func cutParam(list []byte) (name, value, rest []byte, more bool) {
	end := bytes.IndexAny(list, "=;")
	if end < 0 {
		return Trim(list), nil, nil, false
	}
	name = Trim(list[:end])
	if list[end] == ';' {
		return name, nil, list[end+1:], true
	}
	list = Trim(list[end+1:])
	if len(list) == 0 || list[0] != '"' {
		value, rest, more = bytes.Cut(list, []byte{';'})
		return name, append([]byte{}, Trim(value)...), rest, more
	}
	value = []byte{}
	at := 1
	for ; at < len(list) && list[at] != '"'; at++ {
		if list[at] == '\\' && at+1 < len(list) && (list[at+1] == '"' || list[at+1] == '\\') {
			at++
		}
		value = append(value, list[at])
	}
	_, rest, more = bytes.Cut(list[min(at, len(list)):], []byte{';'})
	return name, value, rest, more
}
