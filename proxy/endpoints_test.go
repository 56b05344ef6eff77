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
			"POST /v1/messages", "POST /v1/messages/count_tokens",
			"GET /v1/responses/resp_1", "POST /v1/responses/resp_2/cancel",
		},
		"none": {
			"POST /v1/chat/completions/batch", "POST /v1/embeddings", "POST /v2/embed", "POST /pooling", "POST /classify",
			"POST /score", "POST /v1/score", "POST /rerank", "POST /v1/rerank", "POST /v2/rerank",
			"POST /tokenize", "POST /detokenize", "POST /v1/audio/transcriptions", "POST /v1/audio/translations",
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
