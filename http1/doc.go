// Package http1 is the grammar of HTTP/1.1 messages (RFC 9112) as far as a proxy must understand it, as pure
// state machines over the bytes they are shown: the guard of request heads, the chunked coding, the parser of
// response heads, the framing of answers, and the handshake of WebSockets (RFC 6455). It is stricter than the RFC
// wherever a second reader of the same bytes could see another message in them.
//
// It knows no socket, no goroutine and no clock, and copies no message. proxy and upstream feed it; whatever pumps
// the bytes, the rules are here.
package http1

// Byte classes of the grammar, RFC 9110 5.6.2 and 5.5.
const (
	isToken  = 1 << iota // a byte of a token: methods and field names
	isValue              // a byte of a field value: visible ASCII, space, tab, obs-text
	isTarget             // a byte of a request target: visible ASCII but " # < > ^ ` { | }
	isHost               // a byte of a host's name
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			t[c] = isToken | isTarget | isHost
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= isValue
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= isToken
	}
	for _, c := range "!$%&'()*+,-./:;=?@[\\]_~" {
		t[c] |= isTarget
	}
	for _, c := range "-._~" {
		t[c] |= isHost
	}
	return t
}()

// EqualFold reports whether b is lower in any case; lower is ASCII in lower case.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if Lower(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

// Lower is c in lower case, for ASCII.
func Lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// Trim cuts spaces and tabs from both ends.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
