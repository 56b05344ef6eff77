package session

import (
	"strings"
	"testing"
)

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
