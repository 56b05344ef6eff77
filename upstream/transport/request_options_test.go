package transport

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A key is not printed, in whatever way the key or a struct that holds it is printed.
func TestKeysAreNotPrinted(t *testing.T) {
	const secret = "hunter2"
	type holder struct {
		Name string
		RequestOptions
	}
	m := RequestOptions{Key: secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		for _, v := range []any{m.Key, m, &m, holder{RequestOptions: m}, []holder{{RequestOptions: m}}} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, secret) || strings.Contains(text, "68756e") || !strings.Contains(text, masked) {
				t.Errorf("%s of a %T: %s", verb, v, text)
			}
		}
	}
	text, err := json.Marshal(holder{RequestOptions: m})
	if err != nil || strings.Contains(string(text), secret) || !strings.Contains(string(text), masked) {
		t.Errorf("%s, %v", text, err)
	}
}
