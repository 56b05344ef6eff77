package identity

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// The secret is in what is derived and in what is remembered.
func TestSecretIsInKeysAndIDs(t *testing.T) {
	a, b := identifierWith(t, "a"), identifierWith(t, "b")
	if a.Key([]byte("m"), []byte("i")) == b.Key([]byte("m"), []byte("i")) {
		t.Error("the key does not depend on the secret")
	}
	for name, r := range map[string]request{
		"opening": {body: hello, shape: Chat},
		"body":    {body: `{"session_id":"s"}`},
	} {
		x, _ := r.identify(a)
		y, _ := r.identify(b)
		if bytes.Equal(x.ID(), y.ID()) {
			t.Errorf("%s: the id does not depend on the secret", name)
		}
	}
}

func identifierWith(t *testing.T, secret string) *Identifier {
	t.Helper()
	cfg := Default()
	id, err := NewIdentifier(&cfg, &Models{}, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// After Identify nothing of head or body is held: its memory may be another request's.
func TestSearchLetsGo(t *testing.T) {
	id := mustIdentifier(t, nil)
	body := []byte(`{"model":"model-of-a","previous_response_id":"resp_a","session_id":"\u0061 b","messages":[{"role":"user","content":"Hello"}]}`)
	s := new(Search)
	s.Begin(id)
	s.Header([]byte("Authorization"), []byte("Bearer "+jwt(`{"iss":"i","sub":"s"}`)))
	s.Caller()
	s.Body(body, Chat)
	s.Identify(new(Identity), true)
	for i := range body {
		body[i] = 'B'
	}
	if string(s.Model) != "model-of-a" || string(s.Previous) != "resp_a" {
		t.Errorf("model %q, response %q after the body's memory went to another request", s.Model, s.Previous)
	}
	for _, room := range [][]byte{s.spelled[:cap(s.spelled)], s.token[:cap(s.token)]} {
		if len(room) == 0 || len(bytes.Trim(room, "\x00")) > 0 {
			t.Errorf("%q is still there", room)
		}
	}
	if !reflect.DeepEqual(s.found, [maxSources]candidate{}) || s.scope[0] != nil || s.scope[1] != nil || !reflect.ValueOf(s.json).FieldByName("text").IsNil() {
		t.Error("parts of the request are still held")
	}
}

func TestLongNamesAreBounded(t *testing.T) {
	id := mustIdentifier(t, nil)
	long := strings.Repeat("m", 1<<20)
	for _, name := range []string{long, strings.Repeat(`\u0041`, 1<<18)} {
		_, s := request{body: `{"model":"` + name + `","previous_response_id":"` + name + `","messages":[]}`, shape: Chat}.identify(id)
		if len(s.Model) != maxName || len(s.Previous) == 0 || len(s.Previous) > maxName {
			t.Errorf("model of %d bytes, response of %d", len(s.Model), len(s.Previous))
		}
	}
}

func TestResetForgetsTheID(t *testing.T) {
	i, _ := request{headers: []string{"X-Session-Id: top-secret"}}.identify(mustIdentifier(t, nil))
	i.Reset()
	if i.text != [maxID]byte{} {
		t.Error("the id is still there")
	}
}

// A scope or a source that could never be found would let callers or conversations meet.
func TestNamesThatCannotBe(t *testing.T) {
	for _, s := range []string{"header:" + strings.Repeat("x", 65), "header:X Tenant", "header: X-Tenant", "header:", "header:X-T\u00fcr"} {
		if _, err := parseScope(s); err == nil {
			t.Errorf("scope %q is accepted", s)
		}
	}
	for _, s := range []string{"header:X Session", "header: X-Session", "header:X-Sitz\u00fcng", "cookie:a=b", "cookie:a;b", "cookie: sid"} {
		if _, err := ParseSource(s); err == nil {
			t.Errorf("source %q is accepted", s)
		}
	}
}

// One caller is one scope, however the scheme is spelled.
func TestSchemeSpelling(t *testing.T) {
	id := mustIdentifier(t, nil)
	a, _ := request{headers: []string{"Authorization: Bearer k"}, body: hello, shape: Chat}.identify(id)
	b, _ := request{headers: []string{"Authorization: bearer  k"}, body: hello, shape: Chat}.identify(id)
	c, _ := request{headers: []string{"Authorization: Bearer K"}, body: hello, shape: Chat}.identify(id)
	if !bytes.Equal(a.ID(), b.ID()) || bytes.Equal(a.ID(), c.ID()) {
		t.Errorf("%s, %s, %s", a.ID(), b.ID(), c.ID())
	}
}

// An empty session in metadata.user_id is no session, and nothing to count.
func TestEmptySessionPart(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, body := range []string{`{"metadata":{"user_id":"{\"session_id\":\"\"}"}}`, `{"metadata":{"user_id":"user_1_session_"}}`} {
		if _, s := (request{body: body}).identify(id); s.Ignored != 0 {
			t.Errorf("%s: %d ignored", body, s.Ignored)
		}
	}
}
