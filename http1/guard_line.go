package http1

import "bytes"

// maxMethod bounds the length of the method; the longest registered one has 17 bytes.
const maxMethod = 32

// requestLine reads on in the empty line before the request line, in the method, in the target from its path on, or in the version.
func (g *Guard) requestLine(p []byte) (n int, err error) {
	switch g.state {
	case atStart, atLine:
		if p[0] != '\r' || g.state == atLine {
			g.state = inMethod
			return 0, nil
		}
		g.state = atStartLF
	case inMethod:
		n = span(p, isToken)
		if g.part.n+n > maxMethod {
			return 0, ErrRequestLine
		}
		if n == len(p) {
			g.part.add(p...)
			return n, nil
		}
		method := g.part.end(p[:n])
		if p[n] != ' ' || len(method) == 0 {
			return n, ErrRequestLine
		}
		g.state, g.options = atTarget, string(method) == "OPTIONS"
	case inTarget:
		n = span(p, isTarget)
		if n == len(p) {
			return n, nil
		}
		if p[n] != ' ' {
			return n, ErrRequestLine
		}
		g.state = inVersion
	case inVersion:
		n = span(p, isTarget)
		if n == len(p) {
			g.part.add(p...)
			return n, nil
		}
		if p[n] != '\r' {
			return n, ErrRequestLine
		}
		g.state, err = atVersionLF, g.version(g.part.end(p[:n]))
	}
	return n + 1, err
}

// targetForm tells the forms of a target apart (RFC 9112 3.2). The authority form is refused: it is for CONNECT alone.
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
		g.state = inScheme
		return 0, nil
	}
	return 1, nil
}

func (g *Guard) scheme(c byte) (int, error) {
	g.part.add(toLower(c))
	switch s := g.part.bytes(); {
	case string(s) == "http://" || string(s) == "https://":
		g.Path = len(s)
		g.state, g.part.n = inAuthority, 0
		if g.defaultPort = ":80"; len(s) == len("https://") {
			g.defaultPort = ":443"
		}
	case !bytes.HasPrefix([]byte("http://"), s) && !bytes.HasPrefix([]byte("https://"), s):
		return 0, ErrRequestLine
	}
	return 1, nil
}

// authorityByte reads the authority of a target in absolute form. It must be that of Host (see sameHost): otherwise a server that
// trusts the target (RFC 9112 3.2.2) and one that trusts Host would see different requests. The path may be empty.
func (g *Guard) authorityByte(c byte) (int, error) {
	switch v := g.part.bytes(); {
	case c == '/' || c == '?' || c == ' ':
		if len(v) > maxPart || !validHost(v) {
			return 0, ErrRequestLine
		}
		g.Authority = bytes.Clone(v)
		g.Path += len(v)
		g.state, g.part.n = inTarget, 0
		return 0, nil
	case class[c]&isTarget == 0:
		return 0, ErrRequestLine
	}
	g.part.add(toLower(c))
	return 1, nil
}

// sameHost reports whether a valid Host is the authority of the target. A port that is the default of the target's scheme may be
// missing in either (RFC 9110 4.2.3).
func (g *Guard) sameHost(host []byte) bool {
	return EqualFold(bytes.TrimSuffix(host, []byte(g.defaultPort)), string(bytes.TrimSuffix(g.Authority, []byte(g.defaultPort))))
}

func (g *Guard) version(v []byte) error {
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
