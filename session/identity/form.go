package identity

import (
	"bytes"

	"tether/http1"
	"tether/jsonscan"
)

// Form shows the body of a request that is a form with the boundary (RFC 7578). The last field model counts. Form reads
// the body once and does not copy it.
//
// It does not use mime/multipart, which copies each part and does not say where a part lies in the body.
func (s *Search) Form(body []byte, boundary string) {
	from, to := 0, 0
	parts(body, boundary, func(head []byte, start, end int) {
		if fieldName(head) == "model" {
			from, to = start, end
		}
	})
	s.Model = body[from:to]
	s.Files = jsonscan.Files{Count: 1, Bytes: len(body)}
	s.keepNames(from, to, false)
}

// parts calls visit with each complete part of a multipart body (RFC 2046 5.1): its head, and the offsets of its content
// in the body.
func parts(body []byte, boundary string, visit func(head []byte, start, end int)) {
	delimiter := []byte("\r\n--" + boundary)
	rest, first := bytes.CutPrefix(body, delimiter[2:])
	if !first {
		_, rest, _ = bytes.Cut(body, delimiter) // after a preamble
	}
	for {
		padding, after, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok || len(bytes.Trim(padding, " \t")) > 0 {
			return // the last delimiter is followed by --
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

// delimiterIn returns the offset of the next delimiter, -1 for none. A line that only begins like one is content.
func delimiterIn(text, delimiter []byte) int {
	for at := 0; ; {
		n := bytes.Index(text[at:], delimiter)
		if n < 0 {
			return -1
		}
		at += n
		if after := text[at+len(delimiter):]; len(after) == 0 || bytes.IndexByte([]byte("- \t\r"), after[0]) >= 0 {
			return at
		}
		at += len(delimiter)
	}
}

// maxPartHead is the length of the longest head of a part that is read, in bytes.
const maxPartHead = 4 << 10

// fieldName returns the name of the field whose part has the head, "" for a file or a part without a name.
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
