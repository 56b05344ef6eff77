package jsonscan

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

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
		body, ok := Unquote(text)
		if got := string(Unescape(nil, body)); !ok || got != spelled {
			t.Fatalf("%s: %q, want %q", text, got, spelled)
		}
	})
	for body, want := range map[string]string{
		`\ud83d\ude00`: "😀", `\u00e9\/\b\f\n\r\t\"\\`: "é/\b\f\n\r\t\"\\", `a\`: `a\`, `\u12`: `\u12`, `\x`: `\x`, `\ud83dx`: "\ufffdx",
	} {
		if got := string(Unescape(nil, []byte(body))); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
