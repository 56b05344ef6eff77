package identity

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestResetForgetsTheID(t *testing.T) {
	i, _ := request{headers: []string{"X-Session-Id: top-secret"}}.identify(mustIdentifier(t, nil))
	i.Reset()
	if i.text != [maxID]byte{} {
		t.Error("the id is still there")
	}
}

// The source of an id decides how its pin is treated and who receives it.
func TestIdentityOf(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, c := range []struct {
		name                         string
		req                          request
		version                      byte // of the UUID, 0 for none
		synthetic, shared, forwarded bool
	}{
		{"header", request{headers: []string{"X-Session-Id: abc"}}, 0, false, false, true},
		{"body", request{body: `{"session_id":"b"}`}, '8', false, false, true},
		{"cache key", request{body: `{"prompt_cache_key":"b"}`}, '8', false, true, true},
		{"opening", request{body: hello, shape: Chat}, '8', true, true, true},
		{"random", request{body: `{"prompt":"x"}`}, '4', true, false, false},
	} {
		got, _ := c.req.identify(id)
		if got.Synthetic() != c.synthetic || got.Shared != c.shared || got.Forwarded() != c.forwarded {
			t.Errorf("%s: synthetic %v, shared %v, forwarded %v", c.name, got.Synthetic(), got.Shared, got.Forwarded())
		}
		if text := got.ID(); c.version != 0 && text[14] != c.version {
			t.Errorf("%s: %s, want a UUID of version %c", c.name, text, c.version)
		}
	}
	if a, _ := (request{body: `{"prompt":"x"}`}).identify(id); true {
		if b, _ := (request{body: `{"prompt":"x"}`}).identify(id); string(a.ID()) == string(b.ID()) {
			t.Error("two random ids are the same")
		}
	}
	if got, _ := (request{body: "not JSON"}).identify(id); len(got.ID()) != 0 {
		t.Errorf("a body that does not parse has the id %s", got.ID())
	}
}

func TestInvalidIDsCountAsAbsent(t *testing.T) {
	id := mustIdentifier(t, nil)
	long := strings.Repeat("x", 257)
	for _, c := range []struct {
		name   string
		req    request
		source string
	}{
		{"too long", request{headers: []string{"X-Session-Id: " + long, "Thread-Id: t"}}, "header:thread-id"},
		{"blank inside", request{headers: []string{"X-Session-Id: a b", "Thread-Id: t"}}, "header:thread-id"},
		{"beyond ASCII", request{headers: []string{"X-Session-Id: é", "Thread-Id: t"}}, "header:thread-id"},
		{"empty", request{headers: []string{"X-Session-Id: ", "Thread-Id: t"}}, "header:thread-id"},
		{"two different ones", request{headers: []string{"X-Session-Id: a", "X-Session-Id: b", "Thread-Id: t"}}, "header:thread-id"},
		{"two spellings, two values", request{headers: []string{"Session-Id: a", "session_id: b", "Thread-Id: t"}}, "header:thread-id"},
		{"too long in the body", request{body: `{"session_id":"` + long + `","conversation":"c"}`}, "body:conversation"},
		{"a megabyte with escapes", request{body: `{"session_id":"\u0041` + strings.Repeat("x", 1<<20) + `","conversation":"c"}`}, "body:conversation"},
		{"control byte in the body", request{body: `{"session_id":"a\u0001","conversation":"c"}`}, "body:conversation"},
		{"blank in the body", request{body: `{"session_id":"a b","conversation":"c"}`}, "body:conversation"},
	} {
		got, s := c.req.identify(id)
		if got.Source.String() != c.source || s.Ignored != 1 {
			t.Errorf("%s: source %q, %d ignored", c.name, got.Source, s.Ignored)
		}
	}
	longest := strings.Repeat("x", 256)
	if got, _ := (request{headers: []string{"X-Session-Id: " + longest}}).identify(id); string(got.ID()) != longest {
		t.Error("an id of 256 bytes was refused")
	}
}

// Valid takes every byte of visible ASCII in any place, and no other byte.
func TestValid(t *testing.T) {
	visible := func(b []byte) bool {
		return len(b) > 0 && len(b) <= maxID && !slices.ContainsFunc(b, func(c byte) bool { return c <= ' ' || c > '~' })
	}
	for n := range 20 {
		id := bytes.Repeat([]byte{'x'}, n)
		for at := range id {
			for c := range 256 {
				id[at] = byte(c)
				if Valid(id) != visible(id) {
					t.Fatalf("%q: %v", id, Valid(id))
				}
			}
			id[at] = "!~"[at%2]
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.SliceOfN(rapid.ByteRange(' ', 0x7f), 0, maxID+1).Draw(t, "id")
		if Valid(id) != visible(id) {
			t.Fatalf("%q: %v", id, Valid(id))
		}
	})
}
