package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"tether/sim"
)

func TestUsageOfAnswers(t *testing.T) {
	filler := strings.Repeat("x", 3*usageTail)
	for _, c := range []struct {
		name, text     string
		prompt, cached int
	}{
		{"chat", `{"choices":[],"usage":{"prompt_tokens":42,"total_tokens":50,"prompt_tokens_details":{"cached_tokens":32}},"kv":null}`, 42, 32},
		{"chat without details", `{"usage":{"prompt_tokens":42,"prompt_tokens_details":null}}`, 42, -1},
		{"spaces", `{"usage" : { "prompt_tokens" : 42 , "cached_tokens" : 0 } }`, 42, 0},
		{"responses", `{"usage":{"input_tokens":7,"input_tokens_details":{"cached_tokens":4,"cached_tokens_per_turn":[1]}}}`, 7, 4},
		{"messages", `{"usage":{"input_tokens":3,"output_tokens":9,"cache_creation_input_tokens":5,"cache_read_input_tokens":32}}`, 40, 32},
		{"stream", "data: {\"usage\":null}\n\ndata: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: {\"usage\":null}\n\ndata: [DONE]\n\n", 9, -1},
		{"long", filler + `{"usage":{"prompt_tokens":42}}`, 42, -1},
		{"too far from the end", `{"usage":{"prompt_tokens":42}}` + filler, -1, -1},
		{"a model's words", `{"content":"\"usage\":{\"prompt_tokens\":1}"}`, -1, -1},
		{"none", `{}`, -1, -1},
		{"no number", `{"usage":{"prompt_tokens":"many"}}`, -1, -1},
		{"no object", `{"usage":[{"prompt_tokens":1}]}`, -1, -1},
		{"cut", `{"usage":{"prompt_tokens"`, -1, -1},
		{"huge", `{"usage":{"prompt_tokens":99999999999999999999}}`, 999999999999, -1},
	} {
		for _, step := range []int{1, 7, 1000, len(c.text)} {
			u := new(usage)
			for rest := c.text; len(rest) > 0; {
				n := min(step, len(rest))
				u.see([]byte(rest[:n]))
				rest = rest[n:]
			}
			if prompt, cached := u.tokens(); prompt != c.prompt || cached != c.cached {
				t.Errorf("%s by %d: %d, %d, want %d, %d", c.name, step, prompt, cached, c.prompt, c.cached)
			}
		}
	}
}

// FuzzUsage: the counts do not depend on how the answer is split, and text that a model writes is not taken for them.
func FuzzUsage(f *testing.F) {
	f.Add(`"usage":{"prompt_tokens":1,"cached_tokens":2}`, uint32(42), uint32(32), false, 1)
	f.Add("\"}}\n\ndata: {\"usage\": {\"input_tokens\":1}}\n\n", uint32(7), uint32(0), true, 100)
	f.Fuzz(func(t *testing.T, words string, prompt, cached uint32, stream bool, size int) {
		content, err := json.Marshal(words)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf(`{"choices":[{"text":%s}],"usage":{"prompt_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d}}}`, content, prompt, cached)
		if stream {
			text = fmt.Sprintf("data: {\"usage\":{\"prompt_tokens\":1}}\n\ndata: {\"delta\":%s}\n\ndata: %s\n\ndata: {\"usage\": null}\n\ndata: [DONE]\n\n", content, text)
		}
		u := new(usage)
		for rest := text; len(rest) > 0; {
			n := min(max(size, 1), len(rest))
			u.see([]byte(rest[:n]))
			rest = rest[n:]
		}
		if p, c := u.tokens(); p != int(prompt) || c != int(cached) {
			t.Fatalf("%d, %d of %q", p, c, text)
		}
	})
}

// FuzzLastUsageKey: the key is found where bytes.LastIndex finds it.
func FuzzLastUsageKey(f *testing.F) {
	for _, s := range []string{"", "usage", `"usage"`, `"usage""usage"`, `""usage"`, `"usage"e"`, `"usag"usage"usage`, `"usa"us"usage"ge"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if got, want := lastUsageKey(p), bytes.LastIndex(p, []byte(usageKey)); got != want {
			t.Fatalf("%d, want %d in %q", got, want, p)
		}
	})
}

// BenchmarkUsage reads the counts of a JSON answer, and looks for them in a part of a stream that has none.
func BenchmarkUsage(b *testing.B) {
	words := strings.Repeat("All work and no play makes Jack a dull boy. ", 40)
	for name, text := range map[string]string{
		"chat": `{"id":"chatcmpl-1","choices":[{"index":0,"message":{"role":"assistant","content":"` + words + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1042,` +
			`"total_tokens":1050,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":1024}},"prompt_logprobs":null,"kv_transfer_params":null}`,
		"stream": strings.Repeat("data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" dull\"},\"finish_reason\":null}]}\n\n", 40) + "data: [DONE]\n\n",
	} {
		answer := []byte(text)
		b.Run(name, func(b *testing.B) {
			u := new(usage)
			b.ReportAllocs()
			for b.Loop() {
				u.see(answer)
				u.tokens()
			}
		})
		b.Run(name+"/LastIndex", func(b *testing.B) {
			for b.Loop() {
				bytes.LastIndex(lastOf(answer), []byte(usageKey))
			}
		})
	}
}

// FuzzUsageInParts: however an answer is split, the counts are those of the last object named usage in its last 2 KiB, and nothing is held
// after that object.
func FuzzUsageInParts(f *testing.F) {
	for _, s := range []string{
		`{"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}}`,
		`{"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2`,
		`{"usage":{"prompt_tokens":1},"usage" : null}`,
		`{"usage":{"a":"}\"{","prompt_tokens":3}}`,
		`{"usage":{"usage":{"prompt_tokens":1},"prompt_tokens":2}}`,
		`"usage":{"a":"b "usage":{"}`,
		`"usage"`, `"usage":`, `"usag`, `"usage"{}`, `"usage":{}}"usage"`,
	} {
		f.Add(s, uint8(3), uint16(0))
		f.Add(s, uint8(200), uint16(1990))
	}
	f.Fuzz(func(t *testing.T, text string, part uint8, behind uint16) {
		text += strings.Repeat("x", int(behind)%(2*usageTail))
		wantPrompt, wantCached := usageAtEnd([]byte(text))
		u := new(usage)
		for rest := []byte(text); len(rest) > 0; {
			n := min(int(part)+1, len(rest))
			u.see(rest[:n])
			rest = rest[n:]
			if len(u.open) > usageTail {
				t.Fatalf("%d bytes are held", len(u.open))
			}
		}
		if prompt, cached := u.tokens(); prompt != wantPrompt || cached != wantCached {
			t.Fatalf("%d, %d of %q by %d, want %d, %d", prompt, cached, text, part, wantPrompt, wantCached)
		}
	})
}

// usageAtEnd has the counts of the last object named usage in the end of an answer, -1 if that is not whole.
func usageAtEnd(text []byte) (prompt, cached int) {
	text = text[max(0, len(text)-usageTail):]
	for end := len(text); ; {
		i := bytes.LastIndex(text[:end], []byte(usageKey))
		if i < 0 {
			return -1, -1
		}
		value := regexp.MustCompile(`^"usage"[ \t\r\n]*:[ \t\r\n]*\{`).Find(text[i:])
		if value != nil {
			object := objectOf(text[i+len(value)-1:])
			return counts(object)
		}
		end = i
	}
}

// The record has the counts that the server gave, for every API, streamed or not.
func TestUsageOfRequests(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	prompt := strings.Repeat("All work and no play makes Jack a dull boy. ", 20)
	for path, body := range map[string]string{
		chatPath:          `{"model":"tiny","max_tokens":3,%s"messages":[{"role":"user","content":"` + prompt + `"}]}`,
		"/v1/messages":    `{"model":"tiny","max_tokens":3,%s"messages":[{"role":"user","content":"` + prompt + `"}]}`,
		"/v1/responses":   `{"model":"tiny","max_output_tokens":3,%s"input":"` + prompt + `"}`,
		"/v1/completions": `{"model":"tiny","max_tokens":3,%s"prompt":"` + prompt + `"}`,
	} {
		for _, mode := range []string{"", `"stream":true,"stream_options":{"include_usage":true},`} {
			for turn := range 2 {
				if a := r.do("POST", path, fmt.Sprintf(body, mode)); a.StatusCode != 200 {
					t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
				}
				rec := r.last()
				if rec.PromptTokens < 100 || turn > 0 && rec.CachedTokens < 32 {
					t.Errorf("%s %s: %d prompt tokens, %d cached", path, mode, rec.PromptTokens, rec.CachedTokens)
				}
			}
		}
	}
	if r.do("POST", "/v1/embeddings", `{"model":"none"}`); r.last().PromptTokens != -1 {
		t.Errorf("%d prompt tokens of an error", r.last().PromptTokens)
	}
}
