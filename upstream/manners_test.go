package upstream

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// However a key, or what it is a part of, is printed, it is not told.
func TestKeysAreNotPrinted(t *testing.T) {
	const secret = "hunter2"
	m := Manners{Key: secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		for _, v := range []any{m.Key, m, &m, Spec{Manners: m}, []Spec{{Manners: m}}} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, secret) || strings.Contains(text, "68756e") || !strings.Contains(text, masked) {
				t.Errorf("%s of a %T: %s", verb, v, text)
			}
		}
	}
	text, err := json.Marshal(Spec{Manners: m})
	if err != nil || strings.Contains(string(text), secret) || !strings.Contains(string(text), masked) {
		t.Errorf("%s, %v", text, err)
	}
}

// An upstream that is kept has the new manners at once, and is the same one.
func TestMannersFollowTheConfiguration(t *testing.T) {
	r := NewRegistry(nil)
	s := spec("a", "1")
	s.Key = "old"
	mustApply(t, r, s)
	u := r.Table().Members[0].Upstream
	s.Manners = Manners{KeepHost: true, Key: "new", OverrideKey: true}
	mustApply(t, r, s)
	if r.Table().Members[0].Upstream != u {
		t.Error("another key is another upstream")
	}
	if got := *u.Manners(); got != s.Manners {
		t.Errorf("%+v", got)
	}
}
