package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// Which calls are let through, and in which of them a conversation stays on its server.
func TestEndpoints(t *testing.T) {
	url, _ := echo(t)
	r := newRig(t, []string{url})
	r.up(0).SetModels(list(`{"id":"tiny"}`))
	n := 0
	for outcome, calls := range map[string][]string{
		"new": {
			"POST /v1/chat/completions", "POST /v1/completions", "POST /inference/v1/generate", "POST /v1/responses",
			"POST /v1/messages", "POST /v1/messages/count_tokens", "POST /cohere/v2/chat", "POST /v1/systemone",
			"POST /v1/chat/completions/render", "POST /v1/completions/render", "POST /v1/responses/render", "POST /v1/messages/render",
			"POST /cohere/v2/chat/render",
			"GET /v1/responses/resp_1", "POST /v1/responses/resp_2/cancel",
		},
		"none": {
			"POST /v1/chat/completions/batch", "POST /v1/embeddings", "POST /v2/embed", "POST /pooling", "POST /classify",
			"POST /score", "POST /v1/score", "POST /rerank", "POST /v1/rerank", "POST /v2/rerank",
			"POST /tokenize", "POST /detokenize", "POST /v1/audio/transcriptions", "POST /v1/audio/translations",
			"POST /v1/chat/completions/derender", "POST /v1/completions/derender", "POST /generative_scoring", "GET /tokenizer_info",
			"GET /v1/models", "OPTIONS /v1/chat/completions", "OPTIONS /v1/models",
		},
	} {
		for _, call := range calls {
			n++
			method, path, _ := strings.Cut(call, " ")
			a := r.do(method, path, `{"model":"tiny"}`, fmt.Sprint("X-Session-Id: s-", n))
			if a.StatusCode != 200 || a.outcome() != outcome {
				t.Errorf("%s: %d %s, want %s", call, a.StatusCode, a.outcome(), outcome)
			}
		}
	}
}

// A chat in Cohere's form has an opening, and its turns and their renderings derive one id from it.
func TestCohereChats(t *testing.T) {
	var urls []string
	for range 4 {
		url, _ := echo(t)
		urls = append(urls, url)
	}
	r := newRig(t, urls, func(r *rig) { r.cfg.ExposeUpstream = true })
	const opening = `{"model":"c","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"hi %d"}]}`
	for n := range 10 {
		first := r.do("POST", "/cohere/v2/chat", fmt.Sprintf(opening, n)+"]}")
		for _, path := range []string{"/cohere/v2/chat", "/cohere/v2/chat/render"} {
			turn := r.do("POST", path, fmt.Sprintf(opening, n)+`,{"role":"assistant","content":"yes"},{"role":"user","content":"more"}],"stream":true}`)
			if turn.Header.Get("X-Session-Id") != first.Header.Get("X-Session-Id") || turn.outcome() != "pinned" ||
				turn.Header.Get("X-Tether-Upstream") != first.Header.Get("X-Tether-Upstream") {
				t.Errorf("%s: %v after %v", path, turn.Header, first.Header)
			}
		}
		if r.last().Source.String() != "opening" {
			t.Errorf("the id is from %s", r.last().Source)
		}
	}
}
