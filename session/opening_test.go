package session

import (
	"strings"
	"testing"
)

func openingOf(t *testing.T, shape Shape, body string) string {
	t.Helper()
	got, _ := request{body: body, shape: shape}.identify(mustIdentifier(t, nil))
	if got.Source.Kind != FromOpening {
		return ""
	}
	return string(got.ID())
}

// What clients change between the turns of one conversation.
func TestOpeningSurvives(t *testing.T) {
	for name, c := range map[string]struct {
		shape Shape
		turns []string
	}{
		"appended messages, options, order, white space": {Chat, []string{
			`{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi"}]}`,
			`{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi"},{"role":"assistant","content":"A"},{"role":"user","content":"B"}]}`,
			`{"stream":true,"temperature":0.5,"tools":[{"type":"function"}],"messages":[ {"content":"S","role":"system"}, {"content": "Hi", "role": "user"} ], "model":"m"}`,
			`{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"S"}]},{"role":"user","content":[{"type":"text","text":"Hi"}]}]}`,
			`{"model":"m","messages":[{"role":"system","content":"\u0053"},{"role":"user","content":"H\u0069"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}]}`,
			`{"model":"m","messages":[{"role":"developer","content":"S"},{"role":"user","content":"Hi","name":"ada"}]}`,
		}},
		"image in the first message, cache hints that move": {Chat, []string{
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image","source":{"type":"base64","data":"QUJD"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"text":"Look","type":"text","cache_control":{"type":"ephemeral"}},{"source":{"data":"QUJD","type":"base64"},"type":"image","cache_control":{"type":"ephemeral"}}]}]}`,
		}},
		"anthropic's system beside the messages": {Chat, []string{
			`{"system":"S","messages":[{"role":"user","content":"Hi"}]}`,
			`{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"A"}],"system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}]}`,
		}},
		"responses, input as text or list": {Responses, []string{
			`{"instructions":"S","input":"Hi"}`,
			`{"input":[{"role":"user","content":"Hi"}],"instructions":"S"}`,
			`{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]},{"type":"function_call"}],"instructions":"S"}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			first := openingOf(t, c.shape, c.turns[0])
			if first == "" {
				t.Fatal("no opening")
			}
			for _, turn := range c.turns[1:] {
				if got := openingOf(t, c.shape, turn); got != first {
					t.Errorf("another id for %s", turn)
				}
			}
		})
	}
}

// What makes another conversation.
func TestOpeningDiffers(t *testing.T) {
	bodies := map[Shape][]string{
		Chat: {
			`{"model":"m","messages":[{"role":"user","content":"Hi"}]}`,
			`{"model":"n","messages":[{"role":"user","content":"Hi"}]}`,
			`{"model":"m","messages":[{"role":"user","content":"Ho"}]}`,
			`{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"Hi"}]}`,
			`{"model":"m","messages":[{"role":"system","content":"SHi"},{"role":"user","content":""}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image","data":"A"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image","data":"B"}]}]}`,
		},
		Responses: {
			`{"model":"m","input":"Hi"}`,
			`{"model":"m","input":"Ho"}`,
			`{"model":"m","input":"Hi","instructions":"S"}`,
		},
	}
	for shape, list := range bodies {
		seen := map[string]string{}
		for _, body := range list {
			id := openingOf(t, shape, body)
			if id == "" {
				t.Errorf("no opening in %s", body)
			}
			if twin, ok := seen[id]; ok {
				t.Errorf("one id for\n%s\n%s", twin, body)
			}
			seen[id] = body
		}
	}
}

func TestNoOpening(t *testing.T) {
	for _, c := range []struct {
		shape Shape
		body  string
	}{
		{Opaque, hello},
		{Chat, `{"messages":[]}`},
		{Chat, `{"messages":[{"role":"system","content":"S"}]}`},
		{Chat, `{"messages":{"role":"user"}}`},
		{Chat, `{"messages":["user"]}`},
		{Chat, `{"input":"Hi"}`},
		{Responses, `{"messages":[{"role":"user","content":"Hi"}]}`},
		{Responses, `{"input":"Hi","previous_response_id":"resp_1"}`},
	} {
		if id := openingOf(t, c.shape, c.body); id != "" {
			t.Errorf("an opening in %s", c.body)
		}
	}
}

// FuzzIdentify: no input may panic, and no text of a prompt may pass for a field.
func FuzzIdentify(f *testing.F) {
	f.Add("X-Session-Id", "abc", hello, "say \"session_id\":\"x\"")
	f.Add("cookie", "a=b", `{"session_id":"a","metadata":{"user_id":"{}"}}`, `","session_id":"x`)
	f.Add("Authorization", "Bearer a.e30.c", `{"input":[{"role":"user","content":[{}]}]}`, `\",\"prompt_cache_key\":\"x`)
	id := mustIdentifier(f, func(c *Config) { c.Sources = append(c.Sources, "cookie:a") })
	var s Search
	f.Fuzz(func(t *testing.T, name, value, body, prompt string) {
		for _, shape := range []Shape{Opaque, Chat, Responses} {
			var i Identity
			s.Begin(id)
			s.Header([]byte(name), []byte(value))
			s.Body([]byte(body), shape)
			s.Identify(&i, true)
			if n := len(i.ID()); n > 0 && !Valid(i.ID()) {
				t.Fatalf("invalid id %q", i.ID())
			}
		}
		if strings.ContainsAny(prompt, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f") {
			return
		}
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(prompt)
		var i Identity
		s.Begin(id)
		s.Body([]byte(`{"messages":[{"role":"user","content":"`+quoted+`"}],"prompt":"`+quoted+`"}`), Chat)
		s.Identify(&i, false)
		if !s.IsJSON || i.Source.Kind != FromOpening {
			t.Fatalf("source %v, JSON %v from prompt text", i.Source, s.IsJSON)
		}
	})
}

func benchmarkBody(size int) []byte {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog.\\n", size/46/4+1)
	return []byte(`{"model":"meta-llama/Llama-3.1-8B-Instruct","stream":true,"messages":[{"role":"system","content":"` + text +
		`"},{"role":"user","content":"` + text + `"},{"role":"assistant","content":"` + text + `"},{"role":"user","content":"` + text + `"}],"temperature":0.7}`)
}

// BenchmarkIdentify is the whole identify step: headers of an OpenAI SDK, and bodies of several sizes.
func BenchmarkIdentify(b *testing.B) {
	id := mustIdentifier(b, nil)
	headers := [][2][]byte{
		{[]byte("User-Agent"), []byte("OpenAI/Go 3.95.0")},
		{[]byte("Accept"), []byte("application/json")},
		{[]byte("Authorization"), []byte("Bearer sk-0123456789")},
		{[]byte("Content-Type"), []byte("application/json")},
		{[]byte("X-Stainless-Arch"), []byte("x64")},
		{[]byte("X-Stainless-Lang"), []byte("go")},
		{[]byte("X-Stainless-Os"), []byte("Linux")},
		{[]byte("X-Stainless-Retry-Count"), []byte("0")},
	}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"2KB", 2 << 10}, {"64KB", 64 << 10}, {"1MB", 1 << 20}} {
		b.Run(size.name, func(b *testing.B) {
			body := benchmarkBody(size.bytes)
			var s Search
			var i Identity
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				s.Begin(id)
				for _, h := range headers {
					s.Header(h[0], h[1])
				}
				s.Body(body, Chat)
				s.Identify(&i, true)
			}
			if i.Source.Kind != FromOpening {
				b.Fatal("no opening")
			}
		})
	}
}
