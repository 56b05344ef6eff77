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
	fields    int       // fields of this head so far
	kind      fieldKind // of the line that is being read
	tok       token     // the method, scheme, authority or version, the field name in lower case, or the value of a special field

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
	*g = Guard{maxBytes: maxBytes, maxFields: maxFields}
}

// Begun reports whether the request line has begun.
func (g *Guard) Begun() bool { return g.state > atLine }

// HTTP10 reports whether the request is HTTP/1.0.
func (g *Guard) HTTP10() bool { return g.minor == '0' }

// KeepAlive reports whether the client wants to use the connection again (RFC 9112 9.3).
func (g *Guard) KeepAlive() bool { return !g.closing && (g.minor == '1' || g.keepAlive) }

// Head reads the next bytes and returns how many of them belong to the head, and whether it is complete. After an error the
// connection is beyond use; the n bytes before the offence were accepted.
func (g *Guard) Head(p []byte) (n int, done bool, err error) {
	for n < len(p) && g.state != atEnd {
		var k int
		k, err = g.step(p[n:])
		n += k
		if g.size += k; g.size > g.maxBytes && err == nil {
			err = ErrHeadTooLarge
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, g.state == atEnd, nil
}

// step consumes as many bytes as the state takes at once. It may consume none and only change the state.
func (g *Guard) step(p []byte) (int, error) {
	switch g.state {
	case atStart, atLine, inMethod, inTarget, inVersion:
		return g.requestLine(p)
	case atTarget, afterAsterisk:
		return g.targetForm(p[0])
	case inScheme:
		return g.scheme(p[0])
	case inAuthority:
		return g.authorityByte(p[0])
	case inName:
		return g.name(p)
	case inValue:
		return g.value(p)
	case atField:
		return g.lineStart(p[0])
	}
	if p[0] != '\n' {
		return 0, ErrLineEnd
	}
	switch g.state {
	case atStartLF:
		g.state = atLine
	case atVersionLF, atValueLF:
		g.state = atField
	case atEndLF:
		g.state = atEnd
		return 1, g.check()
	}
	return 1, nil
}

// token is a bounded part of a head.
type token struct {
	buf [264]byte
	n   int // bytes in buf; len(buf)+1 if there were more
}

// add appends c.
func (t *token) add(c byte) {
	if t.n < len(t.buf) {
		t.buf[t.n] = c
	}
	t.n = min(t.n+1, len(t.buf)+1)
}

func (t *token) bytes() []byte { return t.buf[:min(t.n, len(t.buf))] }

func (t *token) tooLong() bool { return t.n > len(t.buf) }
