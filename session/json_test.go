package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func memberMap(text string) (map[string]string, bool) {
	got := map[string]string{}
	ok := members([]byte(text), func(key, value []byte) { got[string(key)] = string(value) })
	return got, ok
}

func TestMembers(t *testing.T) {
	for _, c := range []struct {
		text string
		want map[string]string
	}{
		{`{}`, map[string]string{}},
		{` { } `, map[string]string{}},
		{`{"a":1}`, map[string]string{"a": "1"}},
		{"\n{ \"a\" :\t[1, {\"a\": 2}] , \"b\":\"x\" }", map[string]string{"a": `[1, {"a": 2}]`, "b": `"x"`}},
		{`{"a":"\"b\":1","c":true}`, map[string]string{"a": `"\"b\":1"`, "c": "true"}},
		{`{"a":"\\","c":null}`, map[string]string{"a": `"\\"`, "c": "null"}},
		{`{"a":"}","b":"]","c":{"d":"{"}}`, map[string]string{"a": `"}"`, "b": `"]"`, "c": `{"d":"{"}`}},
		{`{"a":1,"a":2}`, map[string]string{"a": "2"}},
		{`{"\u0061\"":1}`, map[string]string{`a"`: "1"}},
		{`{"":-1.5e3}`, map[string]string{"": "-1.5e3"}},
	} {
		got, ok := memberMap(c.text)
		if !ok || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, %v", c.text, got, ok)
		}
	}
	for _, text := range []string{
		``, ` `, `[]`, `"a"`, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{1:1}`,
		`{"a":"b}`, `{"a":[}`, `{"a":1]`, `{"a":1 "b":2}`, `{,}`, `{"a":}`, `{"a"::1}`, `{"a":"\"}`,
	} {
		if got, ok := memberMap(text); ok {
			t.Errorf("%q passes for an object: %v", text, got)
		}
	}
}

// What is broken inside a value that the scan goes down to hides nothing behind it.
func TestBrokenInside(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, value := range []string{
		`[{"role" "user"},{x}]`, `[{"role":"user","content":}]`, `[{"role":"user","content":[{"text" 1},,]},]`, `[{,}]`, `[,]`, `[1 2]`,
		`[{"role":"user","content":["a" "b"]}]`, `[{"role":["user"],"content":{"text":"a"}}]`, `[["user"]]`, `{"role":"user"}`, `[:]`,
	} {
		got, s := request{body: `{"messages":` + value + `,"session_id":"b"}`, shape: Chat}.identify(id)
		if !s.IsJSON || got.Source.String() != "body:session_id" {
			t.Errorf("%s: source %v, JSON %v", value, got.Source, s.IsJSON)
		}
	}
}

// What encoding/json takes is found as encoding/json finds it.
func TestMembersAgainstEncodingJSON(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) any { return drawValue(t, 3) })
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(rapid.String(), value).Draw(t, "object")
		text, err := json.Marshal(want)
		if err != nil {
			t.Skip()
		}
		if rapid.Bool().Draw(t, "indented") {
			text, _ = json.MarshalIndent(want, " ", "\t")
		}
		got := map[string]any{}
		ok := members(text, func(key, raw []byte) {
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			got[string(key)] = v
		})
		var again map[string]any
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if !ok || fmt.Sprint(got) != fmt.Sprint(again) {
			t.Fatalf("%s: got %v, want %v", text, got, again)
		}
	})
}

func drawValue(t *rapid.T, depth int) any {
	kinds := 4
	if depth > 0 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.String().Draw(t, "string")
	case 1:
		return rapid.IntRange(-1000, 1000).Draw(t, "number")
	case 2:
		return rapid.Bool().Draw(t, "bool")
	case 3:
		return nil
	case 4:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "n") {
		object[rapid.String().Draw(t, "key")] = drawValue(t, depth-1)
	}
	return object
}

func TestUnescape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var spelled string
		if err := json.Unmarshal(text, &spelled); err != nil {
			t.Fatal(err)
		}
		body, ok := stringBody(text)
		if got := string(unescape(nil, body)); !ok || got != spelled {
			t.Fatalf("%s: %q, want %q", text, got, spelled)
		}
	})
	for body, want := range map[string]string{
		`\ud83d\ude00`: "😀", `\u00e9\/\b\f\n\r\t\"\\`: "é/\b\f\n\r\t\"\\", `a\`: `a\`, `\u12`: `\u12`, `\x`: `\x`, `\ud83dx`: "\ufffdx",
	} {
		if got := string(unescape(nil, []byte(body))); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// Depth costs neither memory nor more than linear time: nothing recurses.
func TestDeepJSON(t *testing.T) {
	const depth = 100_000
	text := `{"a":` + strings.Repeat(`[{"b":`, depth) + "1" + strings.Repeat("}]", depth) + `,"session_id":"x"}`
	got, ok := memberMap(text)
	if !ok || got["session_id"] != `"x"` {
		t.Error("the field behind a deep value was not found")
	}
	if _, ok := memberMap(text[:len(text)/2]); ok {
		t.Error("half an object passes for one")
	}
}
