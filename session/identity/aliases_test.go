package identity

import (
	"fmt"
	"strings"
	"testing"
)

func withAliases(t testing.TB, aliases map[string]string) *Identifier {
	t.Helper()
	cfg := Default()
	id, err := NewIdentifier(&cfg, &Models{Aliases: aliases}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// An alias counts as its model in the key and in the opening, and is replaced by it in the body. Nothing else changes.
func TestAliases(t *testing.T) {
	id := withAliases(t, map[string]string{"gpt-4o": `my "llama" <3>`, "ü": "u", "long": strings.Repeat("m", 500)})
	const model = `"my \"llama\" <3>"`
	for _, c := range []struct{ body, want string }{
		{`{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`, `{"model":` + model + `,"messages":[{"role":"user","content":"hi"}]}`},
		{`{"messages":[{"role":"user","content":"hi"}] , "model" : "gpt\u002d4o" }`, `{"messages":[{"role":"user","content":"hi"}] , "model" : ` + model + ` }`},
		{`{"model":"other","model":"gpt-4o"}`, `{"model":"other","model":` + model + `}`},
		{`{"model":"gpt-4o","model":"other"}`, `{"model":"gpt-4o","model":"other"}`},
		{`{"model":"gpt-4o","model":null}`, `{"model":"gpt-4o","model":null}`},
		{`{"model":"GPT-4o"}`, `{"model":"GPT-4o"}`},
		{`{"x":{"model":"gpt-4o"},"text":"\"model\":\"gpt-4o\""}`, `{"x":{"model":"gpt-4o"},"text":"\"model\":\"gpt-4o\""}`},
		{`{"model":"ü"}`, `{"model":"u"}`},
		{`{"model":"\u00fc"}`, `{"model":"u"}`},
		{`{"model":"long"}`, `{"model":"` + strings.Repeat("m", 500) + `"}`},
		{`{"model":"gpt-4o"`, `{"model":"gpt-4o"`},
	} {
		// The body may be a part of a larger buffer, with or without free capacity after it.
		for _, spare := range []int{0, 7} {
			body := append(make([]byte, 3, 3+len(c.body)+spare), c.body...)[3:]
			body = body[:len(body):cap(body)]
			s := new(Search)
			s.Begin(id)
			s.Body(body, Chat)
			got := c.body
			if e := s.Edit; len(e.Text) > 0 {
				got = string(body[:e.From]) + string(e.Text) + string(body[e.To:])
			}
			if got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.body, got, c.want)
			}
		}
	}
	opens := func(model string) (string, string) {
		i, s := request{shape: Chat, body: fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hi"}]}`, model)}.identify(id)
		return string(i.ID()), string(s.Model)
	}
	a, m := opens("gpt-4o")
	b, _ := opens(`my "llama" <3>`)
	if a != b || m != `my "llama" <3>` {
		t.Errorf("%s under the alias, %s under the model %s", a, b, m)
	}
	if id.Model("gpt-4o") != m || id.Model("x") != "x" {
		t.Error("Model does not return the model of an alias")
	}
}

// The alias in a form is replaced without quotes.
func TestAliasInForm(t *testing.T) {
	s := new(Search)
	s.Begin(withAliases(t, map[string]string{"whisper-1": "my-whisper"}))
	const head, tail = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n", "\r\n--b--\r\n"
	body := []byte(head + "whisper-1" + tail)
	s.Form(body, "b")
	if got := string(body[:s.Edit.From]) + string(s.Edit.Text) + string(body[s.Edit.To:]); got != head+"my-whisper"+tail {
		t.Errorf("%q", got)
	}
}
