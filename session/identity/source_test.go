package identity

import (
	"strings"
	"testing"
)

// A scope or a source that no request can have would merge callers or conversations.
func TestNamesThatCannotBe(t *testing.T) {
	for _, s := range []string{"header:" + strings.Repeat("x", 65), "header:X Tenant", "header: X-Tenant", "header:", "header:X-T\u00fcr"} {
		if _, err := parseScope(s); err == nil {
			t.Errorf("scope %q is accepted", s)
		}
	}
	for _, s := range []string{"header:X Session", "header: X-Session", "header:X-Sitz\u00fcng", "cookie:a=b", "cookie:a;b", "cookie: sid"} {
		if _, err := parseSource(s); err == nil {
			t.Errorf("source %q is accepted", s)
		}
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
		if _, err := parseSource(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, s := range defaultSources() {
		if _, err := parseSource(s); err != nil {
			t.Error(err)
		}
	}
}

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
		{"vllm_xargs", request{body: `{"vllm_xargs":{"top_k":5,"session_id":"b"}}`}, "body:vllm_xargs.session_id", ""},
		{"metadata", request{body: `{"metadata":{"session_id":"b"}}`}, "body:metadata.session_id", ""},
		{"vLLM's order in the body", request{body: `{"metadata":{"session_id":"a"},"vllm_xargs":{"session_id":"b"},"session_id":"c"}`}, "body:session_id", ""},
		{"vLLM's header before its vllm_xargs", request{headers: []string{"X-Session-ID: abc"}, body: `{"vllm_xargs":{"session_id":"b"}}`}, "header:x-session-id", "abc"},
		{"metadata before the session of a user", request{body: `{"metadata":{"user_id":"user_1_session_2","session_id":"b"}}`}, "body:metadata.session_id", ""},
		{"a whole number", request{body: `{"session_id":7}`}, "body:session_id", ""},
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
