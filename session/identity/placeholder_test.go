package identity

import (
	"strings"
	"testing"
)

// placeholders are what clients send whose program has no id, in the ways of their languages.
var placeholders = []string{
	"undefined", "null", "NULL", "Null", "None", "none", "nil", "<nil>", "NaN", "nan", "(null)", "<null>", "nullptr", "N/A", "n/a", "(none)", "undefined:undefined",
	"chat-undefined", "user_7:null", "default", "DEFAULT", "unset", "unknown", "placeholder", "string", "{}", "[]", "<>", "()",
	"session_id", "SESSION_ID", "sessionId", "chat-id", "your-session-id", "YOUR_CHAT_ID", "conversation_id", "threadId", "<your-session-id>",
	"[object Object]", "[object Undefined]", "[object Promise]", "chat-[object Object]", "{{CHAT_ID}}", "{{ chat.id }}", "{{$guid}}", "chat-{{id}}", "{% chat %}", "{%chat%}", "<%= id %>", "<%=id%>",
	"{chat_id}", "{chatId}", "{session.id}", "{0}", "{}", "${id}", "${CHAT_ID}", "${chat.id:-x}", "user-7-${chat}", "$CHAT_ID", "$chat_id", "$1" + "x{{a}}", "#{id}", "%{id}", "@{id}", "$(CHAT_ID)", "$(uuidgen)",
	"%s", "%d", "%v", "%@", "%ld", "%(id)s", "%CHAT_ID%", "%!s(<nil>)", "%!d(MISSING)", "%!s(MISSING)", "<session_id>", "<chat.id>", "[chat_id]", ":chat_id", "__CHAT_ID__",
	`"undefined"`, "'null'", "`None`", `"{{id}}"`, "00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000", "<no value>",
}

// realIDs look like placeholders, and are ids.
var realIDs = []string{
	"0", "1", "7", "a", "x-1", "nullify", "nonesuch", "undefined-7", "null-7f3a", "defaults", "default-2", "session_id_7", "nano", "NaN-1", "chat-nulls", "stringer",
	"123e4567-e89b-42d3-a456-426614174000", "{123e4567-e89b-42d3-a456-426614174000}", "{ABCDEFAB-CDEF-4ABC-8DEF-ABCDEF012345}", "00000000-0000-0000-0000-000000000001", "00000000",
	`{"id":"a"}`, `["a"]`, "<20250101.abc@example.com>", "<abc@example.com>", "[::1]", "$5", "100%", "%41bc", "{a1b2c3d4e5}", "[7]", "(2)", "a{b}c", "a:b", ":7", "::1", "__7__", "_a_", "user:7/chat:3", "ses_0x1f",
	"AbC+/=", "%7B7%7D", "s%s", "$a-b", "{", "}", "{{", "}}", "${", "<", "-", "a<b>c", "chat-7-{", "}{", `"a"`, "''", `"`,
}

func TestPlaceholders(t *testing.T) {
	for _, s := range placeholders {
		if !IsPlaceholder([]byte(s)) {
			t.Errorf("%q counts as an id", s)
		}
	}
	for _, s := range realIDs {
		if IsPlaceholder([]byte(s)) {
			t.Errorf("%q counts as a placeholder", s)
		}
	}
	if IsPlaceholder(nil) || IsPlaceholder([]byte("")) {
		t.Error("nothing counts as a placeholder")
	}
}

// A placeholder counts as absent in every place: the next source gives the id. It is not a client's error, and the place
// is remembered without the value.
func TestPlaceholdersCountAsAbsent(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Sources = append([]string{"cookie:sid"}, c.Sources...) })
	opening, _ := request{body: hello, shape: Chat}.identify(id)
	for _, s := range placeholders {
		quoted := asJSON(s)
		for _, c := range []struct {
			place SourceKind
			req   request
		}{
			{FromHeader, request{headers: []string{"X-Session-Id: " + s}, body: hello, shape: Chat}},
			{FromHeader, request{headers: []string{"Thread-Id: " + s, "thread_id: undefined"}, body: hello, shape: Chat}},
			{FromCookie, request{headers: []string{"Cookie: sid=" + s}, body: hello, shape: Chat}},
			{FromBody, request{body: hello[:len(hello)-1] + `,"session_id":` + string(quoted) + `}`, shape: Chat}},
			{FromBody, request{body: hello[:len(hello)-1] + `,"conversation":{"id":` + string(quoted) + `}}`, shape: Chat}},
			{FromBody, request{body: hello[:len(hello)-1] + `,"metadata":{"user_id":` + string(asJSON(`{"session_id":`+string(asJSON(s))+`}`)) + `}}`, shape: Chat}},
		} {
			if strings.Contains(s, `"`) && strings.Contains(c.req.body, "user_id") {
				continue // the session in a user id has no escapes
			}
			got, search := c.req.identify(id)
			if string(got.ID()) != string(opening.ID()) || got.Source.Kind != FromOpening {
				t.Errorf("%q in %s: the source is %v", s, c.place, got.Source)
			}
			if search.Unfilled != 1<<c.place || search.Ignored != 0 {
				t.Errorf("%q in %s: unfilled %b, %d ignored", s, c.place, search.Unfilled, search.Ignored)
			}
		}
	}
	if q, s := identifyQuery(id, "session_id=undefined&model=m"); !q.random() || s.Unfilled != 1<<FromBody {
		t.Errorf("in a query: %v, unfilled %b", q.Source, s.Unfilled)
	}
}

// If one name has a placeholder and a real id, the real id counts.
func TestIDBesidePlaceholder(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, headers := range [][]string{{"X-Session-Id: undefined", "X-Session-Id: abc"}, {"X-Session-Id: abc", "x_session_id: null"}} {
		if got, s := (request{headers: headers}).identify(id); string(got.ID()) != "abc" || s.Unfilled != 0 || s.Ignored != 0 {
			t.Errorf("%v: %q, unfilled %b, %d ignored", headers, got.ID(), s.Unfilled, s.Ignored)
		}
	}
}

// A sub-agent without a name of its own belongs to its family.
func TestPlaceholderAsSubagent(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Subagents = Own })
	family, _ := request{headers: []string{"X-Claude-Code-Session-Id: abc"}}.identify(id)
	for _, name := range []string{"undefined", "{{agent}}"} {
		if got, _ := (request{headers: []string{"X-Claude-Code-Session-Id: abc", "X-Claude-Code-Agent-Id: " + name}}).identify(id); string(got.ID()) != string(family.ID()) {
			t.Errorf("%s: another session", name)
		}
	}
}

func TestPlaceholderAllocatesNothing(t *testing.T) {
	for _, s := range append(placeholders, realIDs...) {
		id := []byte(s)
		if n := testing.AllocsPerRun(10, func() { IsPlaceholder(id) }); n != 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	}
}

func BenchmarkPlaceholder(b *testing.B) {
	for _, s := range []string{"123e4567-e89b-42d3-a456-426614174000", "chat-7", "undefined"} {
		b.Run(s, func(b *testing.B) {
			id := []byte(s)
			for b.Loop() {
				IsPlaceholder(id)
			}
		})
	}
}
