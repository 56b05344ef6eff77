package identity

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestScope(t *testing.T) {
	opening := func(headers ...string) string {
		got, _ := request{headers: headers, body: hello, shape: Chat}.identify(mustIdentifier(t, nil))
		return string(got.ID())
	}
	same := func(a, b string) {
		t.Helper()
		if a != b {
			t.Error("one caller, two ids")
		}
	}
	differ := func(a, b string) {
		t.Helper()
		if a == b {
			t.Error("two callers, one id")
		}
	}
	differ(opening("Authorization: Bearer a"), opening("Authorization: Bearer b"))
	differ(opening("Authorization: Bearer a"), opening())
	differ(opening("x-api-key: a"), opening("x-api-key: b"))
	same(opening("Authorization: Bearer a", "x-api-key: k"), opening("x-api-key: l", "Authorization: Bearer a"))
	// Only issuer and subject of a JWT count.
	same(opening("Authorization: Bearer "+jwt(`{"iss":"i","sub":"s","exp":1}`)), opening("Authorization: bearer "+jwt(`{"exp":2,"iat":7,"sub":"s","iss":"i"}`)))
	differ(opening("Authorization: Bearer "+jwt(`{"iss":"i","sub":"s"}`)), opening("Authorization: Bearer "+jwt(`{"iss":"i","sub":"t"}`)))
	differ(opening("Authorization: Bearer "+jwt(`{"iss":"i","sub":"s"}`)), opening("Authorization: Bearer "+jwt(`{"iss":"j","sub":"s"}`)))
	differ(opening("Authorization: Bearer "+jwt(`{"iss":"i","exp":1}`)), opening("Authorization: Bearer "+jwt(`{"iss":"i","exp":2}`)))
	differ(opening("Authorization: Bearer a.b.c"), opening("Authorization: Bearer a.b.d"))
	groups := strings.Repeat(`"0b8a9c5e-5d4c-4f2e-9d59-6a3a0f1e2d3c",`, 200) // 10 KB, as the token of an employee of a large company
	same(opening("Authorization: Bearer "+jwt(`{"exp":1,"groups":[`+groups+`""],"sub":"s"}`)), opening("Authorization: Bearer "+jwt(`{"exp":2,"groups":[`+groups+`""],"sub":"s"}`)))
	// A field that identifies no caller does not hide another field.
	for _, empty := range []string{"Authorization:", "Authorization: Bearer", "authorization: bearer "} {
		differ(opening(empty, "x-api-key: a"), opening(empty, "x-api-key: b"))
		same(opening(empty, "x-api-key: a"), opening("x-api-key: a"))
		same(opening(empty, "Authorization: Bearer a"), opening("Authorization: Bearer a"))
		same(opening(empty), opening())
	}

	none := mustIdentifier(t, func(c *Config) { c.Scope = "none" })
	a, _ := request{headers: []string{"Authorization: Bearer a"}, body: hello, shape: Chat}.identify(none)
	b, _ := request{headers: []string{"Authorization: Bearer b"}, body: hello, shape: Chat}.identify(none)
	same(string(a.ID()), string(b.ID()))
	tenant := mustIdentifier(t, func(c *Config) { c.Scope = "header:X-Tenant" })
	a, _ = request{headers: []string{"x_tenant: a"}, body: hello, shape: Chat}.identify(tenant)
	b, _ = request{headers: []string{"X-Tenant: b"}, body: hello, shape: Chat}.identify(tenant)
	differ(string(a.ID()), string(b.ID()))
}

func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf("%s.%s.%s", enc([]byte(`{"alg":"none"}`)), enc([]byte(claims)), "signature")
}

// The case of the scheme Bearer does not make another caller.
func TestSchemeSpelling(t *testing.T) {
	id := mustIdentifier(t, nil)
	a, _ := request{headers: []string{"Authorization: Bearer k"}, body: hello, shape: Chat}.identify(id)
	b, _ := request{headers: []string{"Authorization: bearer  k"}, body: hello, shape: Chat}.identify(id)
	c, _ := request{headers: []string{"Authorization: Bearer K"}, body: hello, shape: Chat}.identify(id)
	if !bytes.Equal(a.ID(), b.ID()) || bytes.Equal(a.ID(), c.ID()) {
		t.Errorf("%s, %s, %s", a.ID(), b.ID(), c.ID())
	}
}
