package http1

import "errors"

// Errors of a Guard. The status is 505 for ErrVersion, 431 for ErrHeadTooLarge and ErrManyFields, 417 for ErrExpectation, and 400
// for all others. The connection must be closed after each: where the next request starts is unknown.
var (
	ErrHeadTooLarge = errors.New("request head too large")
	ErrManyFields   = errors.New("too many header fields")
	ErrVersion      = errors.New("HTTP version not supported")
	ErrExpectation  = errors.New("expectation not supported")
	ErrRequestLine  = errors.New("malformed request line")
	ErrLineEnd      = errors.New("line not ended by CRLF")
	ErrField        = errors.New("malformed header field")
	ErrFolded       = errors.New("folded header field")
	ErrHost         = errors.New("want exactly one valid Host, or none on HTTP/1.0")
	ErrLength       = errors.New("malformed or repeated Content-Length")
	ErrTransfer     = errors.New("Transfer-Encoding other than chunked, repeated, or on HTTP/1.0")
	ErrBothLengths  = errors.New("Content-Length with Transfer-Encoding")
)

// Guard checks a request head as its bytes are received, split anywhere, and finds out where the request ends. It sees every
// byte before any other parser does. The zero value needs Reset before its first use.
type Guard struct {
	state     guardState
	maxBytes  int
	maxFields int
	size      int       // bytes of this head so far
	fieldsAt  int       // where the first field line begins
	line      Line      // that is being read
	kind      fieldKind // of that line
	part      part      // what has arrived of a part of the head that is not whole yet

	hosts, lengths, transfers int
	connection                int // bytes in the values of Connection
	minor                     byte
	closing, keepAlive        bool
	defaultPort               string // of the scheme of a target in absolute form, with its colon
	options, asterisk         bool   // the method is OPTIONS, the target is *

	// Authority is the authority of a target in absolute form, in lower case; nil for any other target.
	Authority []byte
	// Path is where the path begins in the target: after scheme and authority if the target is a whole URL. A whole URL may have no
	// path: there is its query, or its end.
	Path int
	// Length is the Content-Length, 0 without one. Chunked excludes it.
	Length int64
	// Chunked says that the body has the chunked coding.
	Chunked bool
	// Expect says that the client waits for 100 Continue before it sends the body.
	Expect bool
	// Lines are the field lines. Their memory is used again for the next head.
	Lines []Line
}

type guardState uint8

const (
	atStart   guardState = iota // before the request line; one empty line is skipped (RFC 9112 2.2)
	atStartLF                   // in that empty line
	atLine                      // before the request line, after the empty line
	inMethod
	atTarget    // after the space that ends the method
	inScheme    // of a target in absolute form
	inAuthority // of a target in absolute form
	afterAsterisk
	inTarget
	inVersion
	atVersionLF
	atField // at the start of a field line, or of the blank line
	inName
	inValue
	atValueLF
	atEndLF // after the CR of the blank line
	atEnd   // the head is complete
)

// Reset makes g ready for the next head, of at most maxBytes and maxFields.
func (g *Guard) Reset(maxBytes, maxFields int) {
	*g = Guard{maxBytes: maxBytes, maxFields: maxFields, Lines: g.Lines[:0]}
}

// Begun reports whether the request line has begun.
func (g *Guard) Begun() bool { return g.state > atLine }

// HTTP10 reports whether the request is HTTP/1.0.
func (g *Guard) HTTP10() bool { return g.minor == '0' }

// KeepAlive reports whether the client wants to use the connection again (RFC 9112 9.3).
func (g *Guard) KeepAlive() bool { return !g.closing && (g.minor == '1' || g.keepAlive) }

// Head reads the next bytes and returns how many of them belong to the head, and whether it is complete. After an error the
// connection is beyond use; the n bytes before the offence were accepted. Bytes beyond the limit are not looked at.
func (g *Guard) Head(p []byte) (n int, done bool, err error) {
	within := p[:min(len(p), g.maxBytes-g.size)]
	for n < len(within) && g.state != atEnd {
		k, err := g.step(within[n:])
		n += k
		g.size += k
		if err != nil {
			return n, false, err
		}
	}
	if done = g.state == atEnd; !done && n < len(p) {
		return n, false, ErrHeadTooLarge
	}
	return n, done, nil
}

// step consumes as many bytes as the state takes at once, or more. It may consume none and only change the state.
func (g *Guard) step(p []byte) (int, error) {
	switch g.state {
	case atField, inName, inValue, atValueLF:
		return g.fieldLines(p)
	case atStart, atLine, inMethod, inTarget, inVersion:
		return g.requestLine(p)
	case atTarget, afterAsterisk:
		return g.targetForm(p[0])
	case inScheme:
		return g.scheme(p[0])
	case inAuthority:
		return g.authorityByte(p[0])
	}
	return g.lineEnd(p[0])
}

// lineEnd reads the LF behind the CR of any line but that of a field.
func (g *Guard) lineEnd(c byte) (int, error) {
	if c != '\n' {
		return 0, ErrLineEnd
	}
	switch g.state {
	case atStartLF:
		g.state = atLine
	case atVersionLF:
		g.state, g.fieldsAt = atField, g.size+1
	case atEndLF:
		g.state = atEnd
		return 1, g.check()
	}
	return 1, nil
}

// maxPart bounds the parts of a head that the Guard judges: method, scheme, authority and version, and the values of special fields.
const maxPart = 264

// part is a part of a head whose bytes arrive in pieces. Of a part that is too long it has one byte more than maxPart.
type part struct {
	buf [maxPart + 1]byte
	n   int
}

// add appends a piece.
func (t *part) add(p ...byte) { t.n += copy(t.buf[t.n:], p) }

func (t *part) bytes() []byte { return t.buf[:t.n] }

// end gives the whole part, whose last piece is p, and makes t ready for the next part. The bytes are valid until add.
func (t *part) end(p []byte) []byte {
	if t.n == 0 {
		return p
	}
	t.add(p...)
	p, t.n = t.bytes(), 0
	return p
}
