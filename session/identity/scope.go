package identity

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"tether/http1"
	"tether/jsonscan"
)

// scope distinguishes callers by a header. The first header of the list that a request has counts.
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

// identifies reports whether a header's value identifies a caller. An empty value and Bearer without a token do not.
func (s *scope) identifies(value []byte) bool {
	value = http1.Trim(value)
	return len(value) > 0 && !(s.jwt && http1.EqualFold(value, "bearer"))
}

// maxToken is the length of the longest JWT that is decoded, in bytes. A longer one counts as it is.
const maxToken = 16 << 10

// caller returns the part of a header's value that identifies the caller: the whole value, or issuer and subject of a JWT
// with a subject, so that a refreshed token changes nothing. The scheme Bearer may have any case. caller decodes into buf,
// and returns it as used, so that it can be erased.
func (s *scope) caller(value, buf []byte) (caller, used []byte) {
	token, bearer := http1.CutPrefixFold(value, "bearer ")
	if !s.jwt || !bearer {
		return value, buf[:0]
	}
	token = http1.Trim(token)
	_, rest, _ := bytes.Cut(token, []byte{'.'})
	payload, _, isJWT := bytes.Cut(rest, []byte{'.'})
	if !isJWT || len(token) > maxToken {
		return token, buf[:0]
	}
	claims, err := base64.RawURLEncoding.AppendDecode(buf[:0], bytes.TrimRight(payload, "="))
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

// identityIn returns issuer and subject of a token's claims, both nil if the subject is no string or an empty one.
func identityIn(claims []byte) (issuer, subject []byte) {
	complete := jsonscan.Members(claims, func(key, value []byte) {
		switch string(key) {
		case "iss":
			issuer = value
		case "sub":
			subject = value
		}
	})
	if body, isText := jsonscan.Unquote(subject); !complete || !isText || len(body) == 0 {
		return nil, nil
	}
	return issuer, subject
}
