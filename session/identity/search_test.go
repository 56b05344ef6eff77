package identity

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// request is a request as a test writes it.
type request struct {
	headers []string // "Name: value"
	body    string
	shape   Shape
}

func mustIdentifier(t testing.TB, change func(*Config)) *Identifier {
	t.Helper()
	cfg := Default()
	if change != nil {
		change(&cfg)
	}
	cfg.Validate(func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
	id, err := NewIdentifier(&cfg, &Models{}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (r request) search(id *Identifier) *Search {
	s := new(Search)
	r.show(s, id)
	return s
}

// show shows the request to s.
func (r request) show(s *Search, id *Identifier) {
	s.Begin(id)
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ": ")
		s.Header([]byte(name), []byte(value))
	}
	s.Body([]byte(r.body), r.shape)
}

func (r request) identify(id *Identifier) (Identity, *Search) {
	s := r.search(id)
	var i Identity
	s.Identify(&i, true)
	return i, s
}

const hello = `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]}`

func TestDefaultSources(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, c := range []struct {
		name   string
		req    request
		source string
		id     string // for headers
	}{
		{"own header", request{headers: []string{"X-Session-Id: abc"}}, "header:x-session-id", "abc"},
		{"own header in other case", request{headers: []string{"x-SESSION-id: abc"}}, "header:x-session-id", "abc"},
		{"underscores", request{headers: []string{"x_session_id: abc"}}, "header:x-session-id", "abc"},
		{"session_id is session-id", request{headers: []string{"session_id: abc"}}, "header:session-id", "abc"},
		{"blanks around", request{headers: []string{"X-Session-Id:   abc\t"}}, "header:x-session-id", "abc"},
		{"affinity", request{headers: []string{"X-Session-Affinity: abc"}}, "header:x-session-affinity", "abc"},
		{"claude code", request{headers: []string{"X-Claude-Code-Session-Id: abc"}}, "header:x-claude-code-session-id", "abc"},
		{"thread", request{headers: []string{"thread-id: abc"}}, "header:thread-id", "abc"},
		{"dynamo", request{headers: []string{"X-Dynamo-Session-ID: abc"}}, "header:x-dynamo-session-id", "abc"},
		{"litellm", request{headers: []string{"x-litellm-session-id: abc"}}, "header:x-litellm-session-id", "abc"},
		{"open webui", request{headers: []string{"X-OpenWebUI-Chat-Id: abc"}}, "header:x-openwebui-chat-id", "abc"},
		{"conversation header", request{headers: []string{"X-Conversation-Id: abc"}}, "header:x-conversation-id", "abc"},
		{"grok", request{headers: []string{"x-grok-conv-id: abc"}}, "header:x-grok-conv-id", "abc"},
		{"smg", request{headers: []string{"X-SMG-Routing-Key: abc"}}, "header:x-smg-routing-key", "abc"},
		{"the first of two headers", request{headers: []string{"Thread-Id: t", "Session-Id: s"}}, "header:session-id", "s"},
		{"the same twice", request{headers: []string{"Session-Id: s", "session_id: s"}}, "header:session-id", "s"},
		{"header before body", request{headers: []string{"Thread-Id: t"}, body: `{"session_id":"b"}`}, "header:thread-id", "t"},
		{"session_id", request{body: `{"session_id":"b"}`}, "body:session_id", ""},
		{"prompt_cache_key", request{body: `{"prompt_cache_key":"b"}`}, "body:prompt_cache_key", ""},
		{"conversation", request{body: `{"conversation":"b"}`}, "body:conversation", ""},
		{"conversation as an object", request{body: `{"conversation":{"a":{"id":"x"},"id":"b"}}`}, "body:conversation", ""},
		{"conversation_id", request{body: `{"conversation_id":"b"}`}, "body:conversation_id", ""},
		{"the first of two fields", request{body: `{"conversation_id":"c","session_id":"b"}`}, "body:session_id", ""},
		{"user with a session", request{body: `{"metadata":{"user_id":"user_1_account__session_4b1b"}}`}, "body:metadata.user_id", ""},
		{"user with a session in JSON", request{body: `{"metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"4b1b\"}"}}`}, "body:metadata.user_id", ""},
		{"user without a session", request{body: `{"metadata":{"user_id":"user_1"}}`}, "", ""},
		{"opening", request{body: hello, shape: Chat}, "opening", ""},
		{"nothing", request{body: `{"prompt":"x"}`}, "", ""},
		{"request id only", request{headers: []string{"X-Request-Id: r", "traceparent: 00-1-1-00", "Authorization: Bearer b"}, body: `{}`}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, s := c.req.identify(id)
			if got.Source.String() != c.source || s.Ignored != 0 {
				t.Fatalf("source %q, want %q; %d ignored", got.Source, c.source, s.Ignored)
			}
			if c.id != "" && string(got.ID()) != c.id {
				t.Errorf("id %q, want %q", got.ID(), c.id)
			}
			if c.id == "" && len(got.ID()) > 0 && !isUUID(string(got.ID())) {
				t.Errorf("id %q, want a UUID", got.ID())
			}
		})
	}
}

func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}

// What an id is worth decides how its pin is treated, and who gets to know it.
func TestIdentityOf(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, c := range []struct {
		name                  string
		req                   request
		version               byte // of the UUID, 0 for none
		made, shared, forward bool
	}{
		{"header", request{headers: []string{"X-Session-Id: abc"}}, 0, false, false, true},
		{"body", request{body: `{"session_id":"b"}`}, '8', false, false, true},
		{"cache key", request{body: `{"prompt_cache_key":"b"}`}, '8', false, true, true},
		{"opening", request{body: hello, shape: Chat}, '8', true, true, true},
		{"random", request{body: `{"prompt":"x"}`}, '4', true, false, false},
	} {
		got, _ := c.req.identify(id)
		if got.Synthetic() != c.made || got.Shared != c.shared || got.Forwarded() != c.forward {
			t.Errorf("%s: made %v, shared %v, forward %v", c.name, got.Synthetic(), got.Shared, got.Forwarded())
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
		t.Errorf("a body that does not parse got the id %s", got.ID())
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
		t.Error("an id of 256 bytes was not taken")
	}
}

// Values that are no strings, and fields that are not at the top, are no ids: nothing to count either.
func TestFieldsThatAreNone(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, body := range []string{
		`{"session_id":1}`, `{"session_id":null}`, `{"session_id":["a"]}`, `{"session_id":""}`, `{"session_id":{"id":"a"}}`,
		`{"x":{"session_id":"a"}}`, `{"x":"\"session_id\":\"a\""}`, `{"prompt":"{\"session_id\":\"a\"}"}`,
		`{"session_id":"a","session_id":null}`, `{"metadata":{}}`, `{"metadata":"user_1__session_1"}`,
		`{"conversation":{"id":1}}`, `{"conversation":{"id":""}}`, `{"conversation":{"x":{"id":"a"}}}`, `{"conversation":[{"id":"a"}]}`,
		`{"conversation":{"id":"a"},"conversation":null}`, `{"conversation":"a","conversation":{"ID":"b"}}`, `{"conversation":{"id":"a","id":{}}}`,
	} {
		if got, s := (request{body: body}).identify(id); got.Source.Kind != 0 || s.Ignored != 0 {
			t.Errorf("%s: source %v, %d ignored", body, got.Source, s.Ignored)
		}
	}
}

func TestOfDuplicateFieldsTheLastCounts(t *testing.T) {
	id := mustIdentifier(t, nil)
	twice, _ := request{body: `{"session_id":"a","model":"x","session_id":"b","model":"y"}`}.identify(id)
	once, s := request{body: `{"session_id":"b","model":"y"}`}.identify(id)
	if string(twice.ID()) != string(once.ID()) || string(s.Model) != "y" {
		t.Error("the first of two fields counted")
	}
	for _, body := range []string{
		`{"session\u005fid":"\u0062"}`, `{"conversation":"b"}`, `{"conversation":{"id":"b"}}`, `{"conversation":"a","conversation":{"id":"a","id":"b"}}`,
		`{"metadata":{"user_id":"a"},"metadata":{"user_id":"{\"session_id\":\"b\"}"}}`,
	} {
		if got, _ := (request{body: body}).identify(id); string(got.ID()) != string(once.ID()) {
			t.Errorf("%s is another id", body)
		}
	}
}

func TestCookies(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Sources = []string{"cookie:sid", "header:X-Session-Id"} })
	got, _ := request{headers: []string{"Cookie: a=b; sid=login-secret; c=d"}}.identify(id)
	if got.Source.String() != "cookie:sid" || !isUUID(string(got.ID())) {
		t.Fatalf("%v %q", got.Source, got.ID())
	}
	if strings.Contains(string(got.ID()), "secret") {
		t.Error("the cookie is echoed in clear")
	}
	// The echo reaches the same pin.
	back, _ := request{headers: []string{"X-Session-Id: " + string(got.ID())}}.identify(id)
	if id.Key(nil, back.ID()) != id.Key(nil, got.ID()) {
		t.Error("the echoed id is another session")
	}
	for _, cookie := range []string{"xsid=a", "sid", "a=sid", ""} {
		if got, _ := (request{headers: []string{"Cookie: " + cookie}}).identify(id); got.Source.Kind != 0 {
			t.Errorf("%q gave an id", cookie)
		}
	}
}

func TestNestedField(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Sources = []string{"body:a.b.c"} })
	if got, _ := (request{body: `{"a":{"x":1,"b":{"c":"deep"}}}`}).identify(id); got.Source.String() != "body:a.b.c" {
		t.Errorf("source %v", got.Source)
	}
}

// Equal ids from cookie, body and other places become equal digests, and never the same as another secret's.
func TestDigests(t *testing.T) {
	a, b := mustIdentifier(t, nil), mustIdentifier(t, nil)
	other, err := NewIdentifier(&Config{Sources: DefaultSources(), Scope: "none"}, &Models{}, []byte("other"))
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

func TestSourceErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                     `"", want header:NAME, cookie:NAME, body:FIELD or opening`,
		"header":               `"header", want header:NAME, cookie:NAME, body:FIELD or opening`,
		"header:":              `"header:", want header:NAME, cookie:NAME, body:FIELD or opening`,
		"query:x":              `"query:x", want header:NAME, cookie:NAME, body:FIELD or opening`,
		"header:Authorization": `header authorization names a caller or a request, not a conversation`,
		"header:X-Api-Key":     `header x-api-key names a caller or a request, not a conversation`,
		"header:X_Request_Id":  `header x-request-id names a caller or a request, not a conversation`,
		"body:a..b":            `"body:a..b" has an empty part`,
		"body:a.b.c.d.e":       `"body:a.b.c.d.e" leads 5 objects deep, want at most 4`,
		"body:model":           `"body:model" names no conversation`,
		"body:input.0":         `"body:input.0" names no conversation`,
	} {
		if _, err := ParseSource(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, s := range DefaultSources() {
		if _, err := ParseSource(s); err != nil {
			t.Error(err)
		}
	}
}

func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf("%s.%s.%s", enc([]byte(`{"alg":"none"}`)), enc([]byte(claims)), "signature")
}

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
	// Of a JWT only issuer and subject count.
	same(opening("Authorization: Bearer "+jwt(`{"iss":"i","sub":"s","exp":1}`)), opening("Authorization: bearer "+jwt(`{"exp":2,"iat":7,"sub":"s","iss":"i"}`)))
	differ(opening("Authorization: Bearer "+jwt(`{"iss":"i","sub":"s"}`)), opening("Authorization: Bearer "+jwt(`{"iss":"i","sub":"t"}`)))
	differ(opening("Authorization: Bearer "+jwt(`{"iss":"i","sub":"s"}`)), opening("Authorization: Bearer "+jwt(`{"iss":"j","sub":"s"}`)))
	differ(opening("Authorization: Bearer "+jwt(`{"iss":"i","exp":1}`)), opening("Authorization: Bearer "+jwt(`{"iss":"i","exp":2}`)))
	differ(opening("Authorization: Bearer a.b.c"), opening("Authorization: Bearer a.b.d"))
	groups := strings.Repeat(`"0b8a9c5e-5d4c-4f2e-9d59-6a3a0f1e2d3c",`, 200) // 10 KB, as of an employee of a large company
	same(opening("Authorization: Bearer "+jwt(`{"exp":1,"groups":[`+groups+`""],"sub":"s"}`)), opening("Authorization: Bearer "+jwt(`{"exp":2,"groups":[`+groups+`""],"sub":"s"}`)))
	// A field that names nobody hides no other.
	for _, nobody := range []string{"Authorization:", "Authorization: Bearer", "authorization: bearer "} {
		differ(opening(nobody, "x-api-key: a"), opening(nobody, "x-api-key: b"))
		same(opening(nobody, "x-api-key: a"), opening("x-api-key: a"))
		same(opening(nobody, "Authorization: Bearer a"), opening("Authorization: Bearer a"))
		same(opening(nobody), opening())
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

// A derived id that clients send back is still what many of them may share.
func TestEchoedOpeningsAreACrowd(t *testing.T) {
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
