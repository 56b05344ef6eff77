package identity

import (
	"bytes"

	"tether/http1"
)

// Form shows the request's body where it is a form with that boundary (RFC 7578): its field model counts, the last one
// if there are more. The body is gone over once and stays where it is.
func (s *Search) Form(body []byte, boundary string) {
	from, to := 0, 0
	parts(body, boundary, func(head []byte, start, end int) {
		if fieldName(head) == "model" {
			from, to = start, end
		}
	})
	s.Model = body[from:to]
	s.keep(from, to, false)
}

// parts visits the parts of a multipart body (RFC 2046 5.1) that are complete: each one's head, and where its content
// stands in the body.
func parts(body []byte, boundary string, visit func(head []byte, start, end int)) {
	delimiter := []byte("\r\n--" + boundary)
	rest, first := bytes.CutPrefix(body, delimiter[2:])
	if !first {
		_, rest, _ = bytes.Cut(body, delimiter) // behind a preamble
	}
	for {
		padding, after, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok || len(bytes.Trim(padding, " \t")) > 0 {
			return // the last delimiter has -- behind it
		}
		end := delimiterIn(after, delimiter)
		if end < 0 {
			return
		}
		if head, content, ok := bytes.Cut(after[:end], []byte("\r\n\r\n")); ok {
			last := len(body) - len(after) + end
			visit(head, last-len(content), last)
		}
		rest = after[end+len(delimiter):]
	}
}

// delimiterIn is where the next delimiter stands, -1 for none: a line that only begins like one goes on otherwise.
func delimiterIn(text, delimiter []byte) int {
	for at := 0; ; {
		n := bytes.Index(text[at:], delimiter)
		if n < 0 {
			return -1
		}
		at += n
		if behind := text[at+len(delimiter):]; len(behind) == 0 || bytes.IndexByte([]byte("- \t\r"), behind[0]) >= 0 {
			return at
		}
		at += len(delimiter)
	}
}

// maxPartHead bounds the head of a part that is looked at, in bytes.
const maxPartHead = 4 << 10

// fieldName is the name of the field in a part with that head, "" for a file or none.
func fieldName(head []byte) string {
	if len(head) > maxPartHead {
		return ""
	}
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte{':'})
		if !http1.EqualFold(name, "content-disposition") {
			continue
		}
		if _, file := http1.Param(value, "filename"); file {
			return ""
		}
		field, _ := http1.Param(value, "name")
		return string(field)
	}
	return ""
}
