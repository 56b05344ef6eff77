package jsonscan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func memberMap(text string) (map[string]string, bool) {
	got := map[string]string{}
	ok := Members([]byte(text), func(key, value []byte) { got[string(key)] = string(value) })
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

// Members finds what encoding/json finds.
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
		ok := Members(text, func(key, raw []byte) {
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

// Deep values cost linear time and no memory, because nothing recurses.
func TestDeepJSON(t *testing.T) {
	const depth = 100_000
	text := `{"a":` + strings.Repeat(`[{"b":`, depth) + "1" + strings.Repeat("}]", depth) + `,"session_id":"x"}`
	got, ok := memberMap(text)
	if !ok || got["session_id"] != `"x"` {
		t.Error("the member after a deep value was not found")
	}
	if _, ok := memberMap(text[:len(text)/2]); ok {
		t.Error("half an object passes for one")
	}
}

// walk scans a text as steps says, a byte for each step, and records what it finds.
type walk struct {
	s      *Scanner
	steps  []byte
	poison bool // overwrite what was scanned
	seen   []string
}

func (w *walk) step(depth int) {
	if w.poison {
		for i := range w.s.at {
			w.s.text[i] = `"\{[`[i%4]
		}
	}
	if len(w.steps) == 0 || depth == 0 {
		return
	}
	do := w.steps[0]
	w.steps = w.steps[1:]
	before := w.s.at
	switch do % 7 {
	case 0: // leave the value
	case 1:
		w.note(w.s.RawValue(), true)
	case 2:
		w.note(w.s.RawString())
	case 3:
		w.note(w.s.DecodedString())
	case 4:
		ok := w.s.Object(func(name []byte) {
			w.note(name, true)
			w.step(depth - 1)
		})
		w.note(nil, ok)
	case 5:
		w.s.Array(func() bool {
			w.step(depth - 1)
			return do < 128
		})
	case 6:
		w.note(nil, w.s.skip(func(body []byte) { w.note(body, true) }))
	}
	if w.s.at < before || w.s.at > len(w.s.text) {
		panic(fmt.Sprintf("from %d to %d of %d", before, w.s.at, len(w.s.text)))
	}
}

func (w *walk) note(text []byte, ok bool) {
	w.seen = append(w.seen, fmt.Sprintf("%d %v %q", w.s.at, ok, text))
}

// FuzzScan checks that a scan never goes back: it finds the same if each step overwrites what was scanned before.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]}`), []byte{4, 1, 5, 4, 2, 2, 4, 3, 6})
	f.Add([]byte(`{"a":[1,{"b":["c\\",{}],"\u0061":"d\""},"e"],"f":{"g":"h"}}`), []byte{4, 5, 0, 4, 6, 1, 3, 4, 2})
	f.Add([]byte(`[{"a" "b"},[1 2],"c`), []byte{5, 4, 5, 2, 1})
	f.Fuzz(func(t *testing.T, text, steps []byte) {
		clean := walk{s: &Scanner{text: bytes.Clone(text)}, steps: steps}
		clean.step(8)
		gone := walk{s: &Scanner{text: bytes.Clone(text)}, steps: steps, poison: true}
		gone.step(8)
		if !slices.Equal(clean.seen, gone.seen) {
			t.Fatalf("%q\n%v\n%v", text, clean.seen, gone.seen)
		}
	})
}

// Integer takes what encoding/json reads into an integer without a change, and leaves every other value for another method.
func TestInteger(t *testing.T) {
	for _, text := range []string{"0", "7", "-7", "10", "9007199254740993", strings.Repeat("9", 300)} {
		for _, after := range []string{"", " ", ",", "}", "]", "\n", ":"} {
			s := Scanner{text: []byte(" \t" + text + after)}
			if digits, ok := s.Integer(); !ok || string(digits) != text || s.at != 2+len(text) {
				t.Errorf("%q: %q, %v, the scan is at %d", s.text, digits, ok, s.at)
			}
		}
	}
	for _, text := range []string{
		"", " ", "-", "-0", "00", "01", "-01", "+1", "1.0", "1e3", "1E3", "1.5", "0x1", "1_000", "٣", "1a", "true", "null", "NaN", `"1"`, "[1]", "{}", "}",
	} {
		s := Scanner{text: []byte(text)}
		s.peek()
		before := s.at
		if digits, ok := s.Integer(); ok || digits != nil || s.at != before {
			t.Errorf("%q: %q, %v, the scan is at %d", text, digits, ok, s.at)
		}
	}
}

// Since returns what was taken, also of a value that is not complete.
func TestSince(t *testing.T) {
	for text, want := range map[string]string{`[1, [2]] ,`: `[1, [2]]`, `[1, "`: `[1, "`, `{}`: ``} {
		s := Scanner{text: []byte(text)}
		s.Array(func() bool { return false })
		if got := string(s.Since(0)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
