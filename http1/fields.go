package http1

import "bytes"

// Line is a field line of a head that a Guard accepted: lines[From:To] with its CRLF, where lines are all field lines of the head.
type Line struct {
	From, To int
	colon    int
}

// Name returns the field name as sent.
func (l Line) Name(lines []byte) []byte { return lines[l.From:l.colon] }

// Value returns the value without the white space around it.
func (l Line) Value(lines []byte) []byte { return Trim(lines[l.colon+1 : l.To-len("\r\n")]) }

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
