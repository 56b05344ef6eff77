package http1

import (
	"bytes"
	"errors"
	"net/netip"
)

// What a Guard refuses. ErrVersion wants 505, ErrHeadTooLarge and ErrManyFields 431, ErrExpectation 417, all else 400; the
// connection must be closed after each of them, for nobody knows where the next request starts.
var (
	ErrHeadTooLarge = errors.New("request head too large")
	ErrManyFields   = errors.New("too many header fields")
	ErrVersion      = errors.New("HTTP version not supported")
	ErrExpectation  = errors.New("expectation not supported")
	ErrRequestLine  = errors.New("malformed request line")
	ErrLineEnd      = errors.New("line not ended by CRLF")
	ErrField        = errors.New("malformed header field")
	ErrFolded       = errors.New("folded header field")
	ErrHost         = errors.New("want exactly one valid Host")
	ErrLength       = errors.New("malformed or repeated Content-Length")
	ErrTransfer     = errors.New("Transfer-Encoding other than chunked, repeated, or on HTTP/1.0")
	ErrBothLengths  = errors.New("Content-Length with Transfer-Encoding")
)

// Guard checks request heads as their bytes come off a connection, split anywhere, and keeps what decides where a
// request ends. It sees every byte before any other parser does. The zero value needs Reset before its first use.
type Guard struct {
	state   guardState
	max     int
	size    int // bytes of this head so far
	most    int
	fields  int       // of this head so far
	special fieldKind // of the line being read
	tok     [264]byte // the version, the field name in lower case, or the value of a special field
	n       int       // bytes in tok; len(tok)+1 when there were more

	hosts, lengths, transfers int
	connection                int // bytes in Connection's values
	minor                     byte
	closing, keepAlive        bool
	authority                 []byte // of a target in absolute form, in lower case; nil without one
	options, asterisk         bool   // the method is OPTIONS, the target is *

	// Path is where the path begins in the target: behind scheme and authority where the target is a whole URL.
	Path int
	// Length is the Content-Length, 0 when there is none. Chunked excludes it.
	Length int64
	// Chunked tells that the body comes in the chunked coding.
	Chunked bool
	// Expect tells that the client waits for 100 Continue before it sends the body.
	Expect bool
}

type guardState uint8

const (
	atStart       guardState = iota // before the request line; one empty line is skipped (RFC 9112 2.2)
	atStartLF                       // in that empty line
	atLine                          // before the request line, none skipped any more
	inMethod                        //
	atTarget                        // after the method's space
	inScheme                        // of a target in absolute form
	inAuthority                     //
	afterAsterisk                   //
	inTarget                        //
	inVersion                       //
	atVersionLF                     //
	atField                         // at the start of a line
	inName                          //
	inValue                         //
	atValueLF                       //
	atEndLF                         // after the CR of the blank line
	atEnd                           // the head is complete
)

type fieldKind uint8

const (
	plainField fieldKind = iota
	hostField
	lengthField
	transferField
	connectionField
	expectField
)

// maxMethod bounds the method's length; the longest registered one has 17 bytes.
const maxMethod = 32

// Reset makes g ready for the next head, of at most max bytes and most fields.
func (g *Guard) Reset(max, most int) {
	*g = Guard{max: max, most: most}
}

// Begun reports whether the request line has begun.
func (g *Guard) Begun() bool { return g.state > atLine }

// HTTP10 reports whether the request came as HTTP/1.0.
func (g *Guard) HTTP10() bool { return g.minor == '0' }

// KeepAlive reports whether the client wants to use the connection again (RFC 9112 9.3).
func (g *Guard) KeepAlive() bool { return !g.closing && (g.minor == '1' || g.keepAlive) }

// Head is shown the next bytes and tells how many of them belong to the head, and whether it is complete. After
// an error the connection is beyond use: n bytes came before the offence.
func (g *Guard) Head(p []byte) (n int, done bool, err error) {
	for n < len(p) && g.state != atEnd {
		var k int
		k, err = g.step(p[n:])
		n += k
		if g.size += k; g.size > g.max && err == nil {
			err = ErrHeadTooLarge
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, g.state == atEnd, nil
}

// step consumes at least one byte, or as many as the state takes at once.
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

func (g *Guard) requestLine(p []byte) (int, error) {
	c := p[0]
	switch g.state {
	case atStart, atLine:
		if c == '\r' && g.state == atStart {
			g.state = atStartLF
			return 1, nil
		}
		g.state = inMethod
		return 0, nil
	case inMethod:
		if c == ' ' && g.n > 0 {
			g.state, g.options = atTarget, string(g.token()) == "OPTIONS"
			return 1, nil
		}
		if g.keep(c); class[c]&isToken == 0 || g.n > maxMethod {
			return 0, ErrRequestLine
		}
		return 1, nil
	case inTarget:
		n := span(p, isTarget)
		if n == len(p) {
			return n, nil
		}
		if p[n] != ' ' {
			return n, ErrRequestLine
		}
		g.state, g.n = inVersion, 0
		return n + 1, nil
	}
	if c == '\r' {
		g.state = atVersionLF
		return 1, g.version()
	}
	if class[c]&isTarget == 0 {
		return 0, ErrRequestLine
	}
	g.keep(c)
	return 1, nil
}

// targetForm tells the forms of a target apart (RFC 9112 3.2). There is no authority form: nobody is tunnelled.
func (g *Guard) targetForm(c byte) (int, error) {
	switch {
	case g.state == afterAsterisk && c == ' ':
		g.state = inTarget
		return 0, nil
	case g.state == afterAsterisk:
		return 0, ErrRequestLine
	case c == '/':
		g.state = inTarget
	case c == '*':
		g.state, g.asterisk = afterAsterisk, true
	default:
		g.state, g.n = inScheme, 0
		return 0, nil
	}
	return 1, nil
}

func (g *Guard) scheme(c byte) (int, error) {
	g.keep(Lower(c))
	switch s := g.token(); {
	case string(s) == "http://" || string(s) == "https://":
		g.Path = len(s)
		g.state, g.n = inAuthority, 0
	case !bytes.HasPrefix([]byte("http://"), s) && !bytes.HasPrefix([]byte("https://"), s):
		return 0, ErrRequestLine
	}
	return 1, nil
}

// authorityByte reads the authority of a target in absolute form. It must be that of Host: two readers of which one
// takes it from the target, as RFC 9112 3.2.2 says, and the other from Host could be led apart.
func (g *Guard) authorityByte(c byte) (int, error) {
	switch v := g.token(); {
	case c != '/' && class[c]&isTarget != 0:
		g.keep(Lower(c))
		return 1, nil
	case c != '/' || g.overflow() || !validHost(v):
		return 0, ErrRequestLine
	}
	g.authority = bytes.Clone(g.token())
	g.Path += len(g.authority)
	g.state = inTarget
	return 0, nil
}

func (g *Guard) version() error {
	v := g.token()
	if len(v) != len("HTTP/1.1") || !bytes.HasPrefix(v, []byte("HTTP/")) || v[6] != '.' {
		return ErrRequestLine
	}
	g.minor = v[7]
	if v[5] != '1' || g.minor != '0' && g.minor != '1' {
		return ErrVersion
	}
	if g.asterisk && !g.options { // RFC 9112 3.2.4
		return ErrRequestLine
	}
	return nil
}

func (g *Guard) lineStart(c byte) (int, error) {
	switch {
	case c == '\r':
		g.state = atEndLF
		return 1, nil
	case c == ' ' || c == '\t':
		return 0, ErrFolded
	}
	if g.fields++; g.fields > g.most {
		return 0, ErrManyFields
	}
	g.state, g.n = inName, 0
	return 0, nil
}

func (g *Guard) name(p []byte) (int, error) {
	for i, c := range p {
		if class[c]&isToken != 0 {
			g.keep(Lower(c))
			continue
		}
		if c != ':' || g.n == 0 {
			return i, ErrField
		}
		g.special = kindOf(g.token())
		g.state, g.n = inValue, 0
		return i + 1, nil
	}
	return len(p), nil
}

func kindOf(name []byte) fieldKind {
	switch string(name) {
	case "host":
		return hostField
	case "content-length":
		return lengthField
	case "transfer-encoding":
		return transferField
	case "connection":
		return connectionField
	case "expect":
		return expectField
	}
	return plainField
}

func (g *Guard) value(p []byte) (int, error) {
	n := span(p, isValue)
	if g.special != plainField {
		for _, c := range p[:n] {
			g.keep(c)
		}
	}
	if n == len(p) {
		return n, nil
	}
	if p[n] != '\r' {
		return n, ErrField
	}
	g.state = atValueLF
	return n + 1, g.field()
}

// field takes in a special field whose value is complete.
func (g *Guard) field() error {
	v := Trim(g.token())
	switch g.special {
	case hostField:
		if g.hosts++; g.hosts > 1 || g.overflow() || !validHost(v) || g.authority != nil && !EqualFold(v, string(g.authority)) {
			return ErrHost
		}
	case lengthField:
		var ok bool
		if g.Length, ok = parseLength(v); !ok || g.overflow() || g.lengths > 0 {
			return ErrLength
		}
		g.lengths++
	case transferField:
		if g.transfers++; g.transfers > 1 || g.overflow() || g.minor == '0' || !EqualFold(v, "chunked") {
			return ErrTransfer
		}
		g.Chunked = true
	case connectionField:
		if g.connection += g.n; g.connection > maxConnection {
			return ErrField
		}
		g.closing = g.closing || HasToken(v, "close")
		g.keepAlive = g.keepAlive || HasToken(v, "keep-alive")
	case expectField:
		if g.overflow() || !EqualFold(v, "100-continue") {
			return ErrExpectation
		}
		g.Expect = g.minor == '1' // RFC 9110 10.1.1: to be ignored on HTTP/1.0
	}
	return nil
}

// check is the last word over a complete head.
func (g *Guard) check() error {
	switch {
	case g.hosts != 1:
		return ErrHost
	case g.lengths > 0 && g.transfers > 0:
		return ErrBothLengths
	}
	return nil
}

func (g *Guard) keep(c byte) {
	if g.n < len(g.tok) {
		g.tok[g.n] = c
	}
	g.n = min(g.n+1, len(g.tok)+1)
}

func (g *Guard) token() []byte { return g.tok[:min(g.n, len(g.tok))] }

func (g *Guard) overflow() bool { return g.n > len(g.tok) }

// span counts the leading bytes of p that are all of the class.
func span(p []byte, of uint8) int {
	for i, c := range p {
		if class[c]&of == 0 {
			return i
		}
	}
	return len(p)
}

// validHost reports whether v is a name or an address, of IPv6 in brackets, with a port or without (RFC 3986 3.2.2).
// Names are made of what names of hosts are made of: nothing escaped, no list.
func validHost(v []byte) bool {
	n := span(v, isHost)
	if literal, is := bytes.CutPrefix(v, []byte{'['}); is {
		address, _, closed := bytes.Cut(literal, []byte{']'})
		if a, err := netip.ParseAddr(string(address)); !closed || err != nil || !a.Is6() || a.Zone() != "" {
			return false
		}
		n = len("[]") + len(address)
	}
	return n > 0 && (n == len(v) || v[n] == ':' && validPort(v[n+1:]))
}

func validPort(v []byte) bool {
	n, ok := parseLength(v)
	return ok && len(v) <= len("65535") && n > 0 && n <= 65535
}

// parseLength reads 1..18 decimal digits and nothing else.
func parseLength(v []byte) (n int64, ok bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
