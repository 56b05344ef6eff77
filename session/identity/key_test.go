package identity

import (
	"bytes"
	"testing"
)

// Derived ids and keys depend on the secret.
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

// Replicas with one secret hash an id alike. Another secret gives another hash.
func TestDigests(t *testing.T) {
	a, b := mustIdentifier(t, nil), mustIdentifier(t, nil)
	other, err := NewIdentifier(&Config{Sources: defaultSources(), Scope: "none"}, &Models{}, []byte("other"))
	if err != nil {
		t.Fatal(err)
	}
	req := request{body: `{"session_id":"b"}`}
	x, _ := req.identify(a)
	y, _ := req.identify(b)
	z, _ := req.identify(other)
	if string(x.ID()) != string(y.ID()) {
		t.Error("replicas with one secret disagree")
	}
	if string(x.ID()) == string(z.ID()) {
		t.Error("another secret gives the same digest")
	}
	if a.Key([]byte("m"), []byte("i")) == a.Key([]byte("n"), []byte("i")) {
		t.Error("two models share a pin")
	}
	if a.Key([]byte("mi"), nil) == a.Key([]byte("m"), []byte("i")) {
		t.Error("model and id run into each other")
	}
	if len(a.Key(nil, []byte("i")).String()) != 16 {
		t.Error("a key shows more or less than 64 bits")
	}
}

// A derived id that a client sends back is still one that many conversations may share.
func TestEchoedOpeningsAreShared(t *testing.T) {
	id := mustIdentifier(t, nil)
	derived, _ := request{shape: Chat, body: hello}.identify(id)
	echoed, _ := request{shape: Chat, body: hello, headers: []string{"X-Session-Id: " + string(derived.ID())}}.identify(id)
	if !derived.Shared || !echoed.Shared || echoed.Synthetic() || string(echoed.ID()) != string(derived.ID()) {
		t.Errorf("derived %+v, echoed %+v", derived, echoed)
	}
	for _, own := range []string{"s-1", "123e4567-e89b-12d3-a456-42661417400d", "123e4567-e89b-82d3-a456-426614174000"} {
		if i, _ := (request{headers: []string{"X-Session-Id: " + own}}).identify(id); i.Shared {
			t.Errorf("%s counts as derived", own)
		}
	}
}
