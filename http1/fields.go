package http1

import "bytes"

// Fields iterates over the field lines of a head that a Guard or ParseHead accepted:
//
//	for f := http1.NewFields(lines); f.Next(); {
//		use(f.Name, f.Value)
//	}
type Fields struct {
	rest []byte

	// Line is the whole line with its CRLF, Name the field name as sent, Value the value without the white space
	// around it. They are parts of the slice given to NewFields.
	Line, Name, Value []byte
}

// NewFields starts at the first of lines, each of which ends with CRLF; a blank line ends them.
func NewFields(lines []byte) Fields { return Fields{rest: lines} }

// Next goes to the next field and reports whether there is one.
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
