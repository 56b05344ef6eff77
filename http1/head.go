package http1

import (
	"bytes"
	"errors"
)

// Errors of ParseHead.
var (
	// ErrMore says that the head is not complete yet.
	ErrMore = errors.New("response head incomplete")

	ErrStatusLine       = errors.New("malformed status line")
	ErrResponseField    = errors.New("malformed response field")
	ErrResponseLength   = errors.New("malformed or repeated Content-Length in a response, or a length where there is no body")
	ErrResponseTransfer = errors.New("unknown or repeated Transfer-Encoding in a response, or with Content-Length")
)

// Head is a parsed response head. Its slices are parts of the buffer that was parsed.
type Head struct {
	// StatusLine is the first line with its CRLF. Lines are the field lines after it, each with its CRLF, for Fields.
	StatusLine, Lines []byte
	// Status is 100..999.
	Status int
	// Length is the Content-Length, -1 without one.
	Length int64
	// Chunked says that the body has the chunked coding.
	Chunked bool
	// Names says that Connection names further fields that are meant for this hop.
	Names bool
	// Close says that the connection ends with this answer: the server says so, or what follows is in doubt.
	Close bool
	// EventStream says that the content type is text/event-stream.
	EventStream bool
	// Encoded says that the body has a Content-Encoding other than identity.
	Encoded bool
	// ToHEAD says that the request was a HEAD, so the answer has no body. The caller sets it.
	ToHEAD bool
}

var headEnd = []byte("\r\n\r\n")

// ParseHead reads the head at the start of buf into h and returns its length, or ErrMore if buf does not hold all of it. seen is
// how many bytes of buf an earlier call found incomplete, else 0.
func ParseHead(buf []byte, seen int, h *Head) (n int, err error) {
	from := max(0, seen-len(headEnd)+1)
	if seen > 0 && !bytes.Contains(buf[from:], headEnd) { // otherwise a head in many pieces would be parsed as many times
		return 0, begins(buf, from)
	}
	parsed := Head{Length: -1}
	if n, err = parsed.parse(buf); err == nil {
		*h = parsed
		return n, nil
	}
	if seen == 0 && !bytes.Contains(buf, headEnd) {
		return 0, begins(buf, from)
	}
	return 0, err
}

// parse reads the head at the start of buf, and returns its length. A head that is not whole has an error too, any one.
func (h *Head) parse(buf []byte) (n int, err error) {
	n = bytes.IndexByte(buf, '\n') + 1
	h.StatusLine = buf[:n]
	minor, err := h.statusLine()
	if err != nil {
		return 0, err
	}
	size, err := h.fields(buf[n:], minor)
	if err != nil {
		return 0, err
	}
	return n + size, nil
}

// begins returns ErrMore if buf may be the beginning of a head, else what is wrong with it: a server that does not speak HTTP
// may never send a blank line. The bytes before from were checked by an earlier call.
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

// bodiless reports whether the answer has no body by its status or its request (RFC 9112 6.3).
func (h *Head) bodiless() bool {
	return h.ToHEAD || h.Status < 200 || h.Status == 204 || h.Status == 304
}

// statusLine reads "HTTP/1.x NNN reason"; the reason is optional.
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

// headCounts is what has been found so far of the fields that may not be repeated, or that are limited in length.
type headCounts struct {
	minor              byte // of the version
	lengths, transfers int
	connection         int // bytes in the values of Connection
	keepAlive          bool
}

// fields reads the field lines and the blank line behind them, and returns their length.
func (h *Head) fields(buf []byte, minor byte) (n int, err error) {
	counts := headCounts{minor: minor, keepAlive: minor == '1'}
	for !isLineEnd(buf[n:]) {
		name, value, size := splitLine(buf[n:])
		if size == 0 {
			return 0, ErrResponseField
		}
		if err := h.field(name, value, &counts); err != nil {
			return 0, err
		}
		n += size
	}
	if counts.lengths > 0 && counts.transfers > 0 {
		return 0, ErrResponseTransfer
	}
	h.Lines, h.Close = buf[:n], h.Close || !counts.keepAlive
	return n + len("\r\n"), h.checkNoBody()
}

// field reads one field.
func (h *Head) field(name, value []byte, n *headCounts) error {
	switch {
	case EqualFold(name, "connection"):
		if n.connection += len(value); n.connection > maxConnection {
			return ErrResponseField
		}
		h.Names = h.Names || NamesFields(value)
		h.Close = h.Close || hasToken(value, "close")
		n.keepAlive = n.keepAlive || hasToken(value, "keep-alive")
	case EqualFold(name, "content-type"):
		h.EventStream = isEventStream(value)
	case EqualFold(name, "content-length"):
		var ok bool
		if h.Length, ok = parseLength(value); !ok || n.lengths > 0 {
			return ErrResponseLength
		}
		n.lengths++
	case EqualFold(name, "content-encoding"):
		h.Encoded = !EqualFold(value, "identity")
	case EqualFold(name, "transfer-encoding"):
		if n.transfers++; n.transfers > 1 || n.minor == '0' || !EqualFold(value, "chunked") {
			return ErrResponseTransfer
		}
		h.Chunked = true
	}
	return nil
}

// checkNoBody handles answers that announce a body though their status rules it out (RFC 9112 6.3, 9110 8.6): the next bytes may be
// that body. After a 204 they do no harm, since the connection is closed; after an interim answer they would be read as the
// answer.
func (h *Head) checkNoBody() error {
	switch announced := h.Length > 0 || h.Chunked; {
	case announced && h.Status < 200:
		return ErrResponseLength
	case announced && h.Status == 204:
		h.Close = true
	}
	return nil
}

// splitLine splits the field line at the start of buf, and returns its size, 0 for no line. It is strict: a token, a colon, a value,
// CRLF; no folding.
func splitLine(buf []byte) (name, value []byte, size int) {
	colon := tokenSpan(buf)
	if colon == 0 || colon == len(buf) || buf[colon] != ':' {
		return nil, nil, 0
	}
	end := colon + 1 + valueSpan(buf[colon+1:])
	if !isLineEnd(buf[end:]) {
		return nil, nil, 0
	}
	return buf[:colon], Trim(buf[colon+1 : end]), end + 2
}

// isLineEnd reports whether a line ends at the start of buf.
func isLineEnd(buf []byte) bool { return len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' }

func isEventStream(v []byte) bool {
	params, is := CutPrefixFold(v, "text/event-stream")
	return is && (len(params) == 0 || params[0] == ';' || params[0] == ' ')
}
