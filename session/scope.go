package session

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"tether/http1"
)

// scope says what keeps callers apart: the headers whose value names the caller, the first one present counts.
type scope struct {
	headers []string
	jwt     bool // the header may hold a JSON web token
}

func parseScope(s string) (scope, error) {
	switch {
	case s == "none":
		return scope{}, nil
	case s == "authorization":
		return scope{headers: []string{"authorization", "x-api-key"}, jwt: true}, nil
	case strings.HasPrefix(s, "header:"):
		name, err := headerName(s[len("header:"):])
		return scope{headers: []string{name}}, err
	}
	return scope{}, fmt.Errorf("%q, want authorization, none or header:NAME", s)
}

// maxToken bounds the JWT that is looked into; a longer one counts as it is.
const maxToken = 4 << 10

// caller is what of a header's value names the caller: all of it, but of a JWT that has a subject only issuer
// and subject, so that a refreshed token changes nothing. Bearer may be spelled as they like. room is overwritten.
func (s *scope) caller(value []byte, room []byte) []byte {
	const scheme = "bearer "
	if !s.jwt || len(value) < len(scheme) || !http1.EqualFold(value[:len(scheme)], scheme) {
		return value
	}
	token := http1.Trim(value[len(scheme):])
	_, rest, _ := bytes.Cut(token, []byte{'.'})
	payload, _, isJWT := bytes.Cut(rest, []byte{'.'})
	if !isJWT || len(token) > maxToken {
		return token
	}
	claims, err := base64.RawURLEncoding.AppendDecode(room[:0], bytes.TrimRight(payload, "="))
	if err != nil {
		return token
	}
	var issuer, subject []byte
	if !members(claims, func(key, value []byte) {
		switch string(key) {
		case "iss":
			issuer = value
		case "sub":
			subject = value
		}
	}) {
		return token
	}
	if body, ok := stringBody(subject); !ok || len(body) == 0 {
		return token
	}
	return bytes.Join([][]byte{issuer, subject}, []byte{'\n'})
}
