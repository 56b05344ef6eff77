package http1

import (
	"bytes"
	"net/netip"
)

// fieldKind tells the fields that the Guard judges from all others.
type fieldKind uint8

const (
	plainField fieldKind = iota
	hostField
	lengthField
	transferField
	connectionField
	expectField
)

func (g *Guard) lineStart(c byte) (int, error) {
	switch {
	case c == '\r':
		g.state = atEndLF
		return 1, nil
	case c == ' ' || c == '\t':
		return 0, ErrFolded
	}
	if g.fields++; g.fields > g.maxFields {
		return 0, ErrManyFields
	}
	g.state, g.tok.n = inName, 0
	return 0, nil
}

func (g *Guard) name(p []byte) (int, error) {
	for i, c := range p {
		if class[c]&isToken != 0 {
			g.tok.add(toLower(c))
			continue
		}
		if c != ':' || g.tok.n == 0 {
			return i, ErrField
		}
		g.kind = kindOf(g.tok.bytes())
		g.state, g.tok.n = inValue, 0
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
	if g.kind != plainField {
		for _, c := range p[:n] {
			g.tok.add(c)
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

// field judges a special field whose value is complete.
func (g *Guard) field() error {
	v := Trim(g.tok.bytes())
	switch g.kind {
	case hostField:
		if g.hosts++; g.hosts > 1 || g.tok.tooLong() || !validHost(v) || g.Authority != nil && !g.sameHost(v) {
			return ErrHost
		}
	case lengthField:
		var ok bool
		if g.Length, ok = parseLength(v); !ok || g.tok.tooLong() || g.lengths > 0 {
			return ErrLength
		}
		g.lengths++
	case transferField:
		if g.transfers++; g.transfers > 1 || g.tok.tooLong() || g.minor == '0' || !EqualFold(v, "chunked") {
			return ErrTransfer
		}
		g.Chunked = true
	case connectionField:
		if g.connection += g.tok.n; g.connection > maxConnection {
			return ErrField
		}
		g.closing = g.closing || hasToken(v, "close")
		g.keepAlive = g.keepAlive || hasToken(v, "keep-alive")
	case expectField:
		if g.tok.tooLong() || !EqualFold(v, "100-continue") {
			return ErrExpectation
		}
		g.Expect = g.minor == '1' // HTTP/1.0 must ignore it (RFC 9110 10.1.1)
	}
	return nil
}

// check judges a complete head.
func (g *Guard) check() error {
	switch {
	case g.hosts == 0 && g.minor != '0': // RFC 9112 3.2: only HTTP/1.1 requires Host
		return ErrHost
	case g.lengths > 0 && g.transfers > 0:
		return ErrBothLengths
	}
	return nil
}

// validHost reports whether v is a host name or an address, IPv6 in brackets, with or without a port (RFC 3986 3.2.2). A name has
// no escapes and is no list.
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

// parseLength reads a number of 1..18 decimal digits and nothing else.
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
