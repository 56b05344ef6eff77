package http1

import (
	"bytes"
	"errors"
)

// What ParseHead refuses.
var (
	// ErrMore asks for more bytes: the head is not complete.
	ErrMore = errors.New("response head incomplete")

	ErrStatusLine       = errors.New("malformed status line")
	ErrResponseField    = errors.New("malformed response field")
	ErrResponseLength   = errors.New("malformed or repeated Content-Length in a response, or a length where there is no body")
	ErrResponseTransfer = errors.New("unknown or repeated Transfer-Encoding in a response, or with Content-Length")
)

// Head is a parsed response head. Its slices are parts of the buffer that was parsed.
type Head struct {
	// StatusLine is the first line with its CRLF, Lines the field lines behind it with a CRLF each, for Fields.
	StatusLine, Lines []byte
	// Status is 100..999.
	Status int
	// Length is the Content-Length, -1 when there is none.
	Length int64
	// Chunked tells that the body comes in the chunked coding.
	Chunked bool
	// Names tells that Connection names further fields that are meant for this hop.
	Names bool
	// Close tells that the connection ends with this answer: the server says so, or it is in doubt what follows.
	Close bool
	// EventStream tells that the content type is text/event-stream.
	EventStream bool
	// Encoded tells that the body has a Content-Encoding other than identity.
	Encoded bool
	// ToHEAD tells that the request was a HEAD, which rules a body out. Whoever sent it says so.
	ToHEAD bool
}

var headEnd = []byte("\r\n\r\n")

// ParseHead reads the head at the start of buf and gives its length. It returns ErrMore when buf does not hold all
// of it; seen, when above 0, is how much of buf an earlier call found incomplete already.
func ParseHead(buf []byte, seen int, h *Head) (n int, err error) {
	from := max(0, seen-len(headEnd)+1)
	end := bytes.Index(buf[from:], headEnd)
	if end < 0 {
		return 0, begins(buf, from)
	}
	end += from
	line := bytes.IndexByte(buf, '\n') + 1
	*h = Head{StatusLine: buf[:line], Lines: buf[line : end+2], Length: -1}
	minor, err := h.statusLine()
	if err != nil {
		return 0, err
	}
	if err := h.fields(minor); err != nil {
		return 0, err
	}
	return end + len(headEnd), nil
}

// begins gives ErrMore if buf, from is where the look at it goes on, may be the beginning of a head, and what is wrong
// with it if not: somebody who does not speak HTTP may never send a blank line.
func begins(buf []byte, from int) error {
	const version = "HTTP/1."
	if n := min(len(buf), len(version)); string(buf[:n]) != version[:n] {
		return ErrStatusLine
	}
	for rest := buf[from:]; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return ErrMore
		}
		if at := len(buf) - len(rest) + i; buf[at-1] != '\r' { // buf[0] is no line end
			return ErrResponseField
		}
		rest = rest[i+1:]
	}
}

// Bodiless reports whether status or request rule a body out (RFC 9112 6.3).
func (h *Head) Bodiless() bool {
	return h.ToHEAD || h.Status < 200 || h.Status == 204 || h.Status == 304
}

// statusLine reads "HTTP/1.x NNN reason", the reason being optional.
func (h *Head) statusLine() (minor byte, err error) {
	l := h.StatusLine
	if len(l) < len("HTTP/1.1 200\r\n") || !bytes.HasPrefix(l, []byte("HTTP/1.")) || l[8] != ' ' || l[len(l)-2] != '\r' {
		return 0, ErrStatusLine
	}
	minor, rest := l[7], l[9:len(l)-2]
	if minor != '0' && minor != '1' {
		return 0, ErrStatusLine
	}
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return 0, ErrStatusLine
		}
		h.Status = h.Status*10 + int(c-'0')
	}
	if h.Status < 100 || len(rest) > 3 && rest[3] != ' ' || span(rest, isValue) != len(rest) {
		return 0, ErrStatusLine
	}
	return minor, nil
}

func (h *Head) fields(minor byte) error {
	lengths, transfers, connection := 0, 0, 0
	keepAlive := minor == '1'
	for rest := h.Lines; len(rest) > 0; {
		name, value, after, err := splitLine(rest)
		if err != nil {
			return err
		}
		rest = after
		switch len(name) {
		case len("connection"):
			if EqualFold(name, "connection") {
				if connection += len(value); connection > maxConnection {
					return ErrResponseField
				}
				h.Names = h.Names || NamesFields(value)
				h.Close = h.Close || HasToken(value, "close")
				keepAlive = keepAlive || HasToken(value, "keep-alive")
			}
		case len("content-type"):
			if EqualFold(name, "content-type") {
				h.EventStream = isEventStream(value)
			}
		case len("content-length"):
			if EqualFold(name, "content-length") {
				var ok bool
				if h.Length, ok = parseLength(value); !ok || lengths > 0 {
					return ErrResponseLength
				}
				lengths++
			}
		case len("content-encoding"):
			if EqualFold(name, "content-encoding") {
				h.Encoded = !EqualFold(value, "identity")
			}
		case len("transfer-encoding"):
			if EqualFold(name, "transfer-encoding") {
				if transfers++; transfers > 1 || minor == '0' || !EqualFold(value, "chunked") {
					return ErrResponseTransfer
				}
				h.Chunked = true
			}
		}
	}
	if lengths > 0 && transfers > 0 {
		return ErrResponseTransfer
	}
	h.Close = h.Close || !keepAlive
	return h.bodyWhereNone()
}

// bodyWhereNone looks at answers that have no body whatever they say (RFC 9112 6.3) and announce one, which they must
// not (RFC 9110 8.6): what follows may be that body. Behind 204 it is no matter, for nothing is read from there any more;
// behind an interim answer it would be read as the answer.
func (h *Head) bodyWhereNone() error {
	switch announced := h.Length > 0 || h.Chunked; {
	case announced && h.Status < 200:
		return ErrResponseLength
	case announced && h.Status == 204:
		h.Close = true
	}
	return nil
}

// splitLine cuts the first field line off lines, strictly: a token, a colon, a value, CRLF; no folding.
func splitLine(lines []byte) (name, value, rest []byte, err error) {
	n := span(lines, isToken)
	if n == 0 || lines[n] != ':' {
		return nil, nil, nil, ErrResponseField
	}
	name, lines = lines[:n], lines[n+1:]
	n = span(lines, isValue)
	if len(lines) < n+2 || lines[n] != '\r' || lines[n+1] != '\n' {
		return nil, nil, nil, ErrResponseField
	}
	return name, Trim(lines[:n]), lines[n+2:], nil
}

func isEventStream(v []byte) bool {
	params, is := CutPrefixFold(v, "text/event-stream")
	return is && (len(params) == 0 || params[0] == ';' || params[0] == ' ')
}
