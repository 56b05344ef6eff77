package identity

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"tether/http1"
	"tether/jsonscan"
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

// names reports whether a header's value names anybody: an empty one, or Bearer with nothing behind it, does not.
func (s *scope) names(value []byte) bool {
	value = http1.Trim(value)
	return len(value) > 0 && !(s.jwt && http1.EqualFold(value, "bearer"))
}

// maxToken bounds the JWT that is looked into; a longer one counts as it is.
const maxToken = 16 << 10

// caller is what of a header's value names the caller: all of it, but of a JWT that has a subject only issuer
// and subject, so that a refreshed token changes nothing. Bearer may be spelled as they like. What is decoded for that is
// in used, which begins as room does.
func (s *scope) caller(value, room []byte) (caller, used []byte) {
	token, bears := http1.CutPrefixFold(value, "bearer ")
	if !s.jwt || !bears {
		return value, room[:0]
	}
	token = http1.Trim(token)
	_, rest, _ := bytes.Cut(token, []byte{'.'})
	payload, _, isJWT := bytes.Cut(rest, []byte{'.'})
	if !isJWT || len(token) > maxToken {
		return token, room[:0]
	}
	claims, err := base64.RawURLEncoding.AppendDecode(room[:0], bytes.TrimRight(payload, "="))
	if err != nil {
		return token, claims
	}
	issuer, subject := identityIn(claims)
	if len(subject) == 0 {
		return token, claims
	}
	used = append(append(append(claims, issuer...), '\n'), subject...)
	return used[len(claims):], used
}

// identityIn are issuer and subject of a token's claims, nil for a subject that is none.
func identityIn(claims []byte) (issuer, subject []byte) {
	whole := jsonscan.Members(claims, func(key, value []byte) {
		switch string(key) {
		case "iss":
			issuer = value
		case "sub":
			subject = value
		}
	})
	if body, isText := jsonscan.Unquote(subject); !whole || !isText || len(body) == 0 {
		return nil, nil
	}
	return issuer, subject
}
