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

// fieldLines reads on in the field lines, up to the end of p or to the CR of the blank line.
func (g *Guard) fieldLines(p []byte) (n int, err error) {
	at := g.size - g.fieldsAt // where p begins among the lines
	for n < len(p) {
		switch g.state {
		case atField:
			if p[n] == '\r' {
				g.state = atEndLF
				return n + 1, nil
			}
			if err := g.begin(p[n]); err != nil {
				return n, err
			}
			g.state, g.line.From = inName, at+n
			fallthrough
		case inName:
			from := n
			if n += tokenSpan(p[n:]); n == len(p) {
				g.part.add(p[from:]...)
				return n, nil
			}
			if err := g.named(g.part.end(p[from:n]), p[n]); err != nil {
				return n, err
			}
			g.state, g.line.colon = inValue, at+n
			n++
			fallthrough
		case inValue:
			from := n
			if n += valueSpan(p[n:]); n == len(p) {
				g.part.add(p[from:]...)
				return n, nil
			}
			if p[n] != '\r' {
				return n, ErrField
			}
			if value := g.part.end(p[from:n]); g.kind != plainField {
				err = g.special(value)
			}
			g.state = atValueLF
			if n++; err != nil || n == len(p) {
				return n, err
			}
			fallthrough
		case atValueLF:
			if p[n] != '\n' {
				return n, ErrLineEnd
			}
			n++
			g.state, g.line.To = atField, at+n
			g.Lines = append(g.Lines, g.line)
		}
	}
	return n, nil
}

// begin judges the first byte of a field line.
func (g *Guard) begin(c byte) error {
	if c == ' ' || c == '\t' {
		return ErrFolded
	}
	if len(g.Lines) == g.maxFields {
		return ErrManyFields
	}
	return nil
}

// named judges the name of a field and the byte behind it.
func (g *Guard) named(name []byte, behind byte) error {
	if behind != ':' || len(name) == 0 {
		return ErrField
	}
	g.kind = kindOf(name)
	return nil
}

func kindOf(name []byte) fieldKind {
	switch {
	case EqualFold(name, "host"):
		return hostField
	case EqualFold(name, "expect"):
		return expectField
	case EqualFold(name, "connection"):
		return connectionField
	case EqualFold(name, "content-length"):
		return lengthField
	case EqualFold(name, "transfer-encoding"):
		return transferField
	}
	return plainField
}

// special judges a special field by its value.
func (g *Guard) special(value []byte) error {
	v, tooLong := Trim(value), len(value) > maxPart
	switch g.kind {
	case hostField:
		if g.hosts++; g.hosts > 1 || tooLong || !validHost(v) || g.Authority != nil && !g.sameHost(v) {
			return ErrHost
		}
	case lengthField:
		var ok bool
		if g.Length, ok = parseLength(v); !ok || tooLong || g.lengths > 0 {
			return ErrLength
		}
		g.lengths++
	case transferField:
		if g.transfers++; g.transfers > 1 || tooLong || g.minor == '0' || !EqualFold(v, "chunked") {
			return ErrTransfer
		}
		g.Chunked = true
	case connectionField:
		if g.connection += len(value); g.connection > maxConnection {
			return ErrField
		}
		g.closing = g.closing || hasToken(v, "close")
		g.keepAlive = g.keepAlive || hasToken(v, "keep-alive")
	case expectField:
		if tooLong || !EqualFold(v, "100-continue") {
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
