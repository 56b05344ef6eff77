package sim

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/sim/fault"
)

func TestDrain(t *testing.T) {
	s := start(t, Config{RefuseAfter: 30 * time.Millisecond})
	c := dial(t, s)
	put(t, c, faultWire(chatSSE, "stall=2"))
	await(t, s, func(l Load) bool { return l.Held == 1 })
	end := make(chan error, 1)
	go func() { end <- s.Drain(t.Context()) }()
	await(t, s, func(l Load) bool { return l.Draining })
	checkShutdownAnswers(t, s)
	s.ClearFaults() // the request in flight may finish
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(got), "data: [DONE]\n\n\r\n0\r\n\r\n") || strings.Count(string(got), "data: {") != 4 {
		t.Errorf("request in flight: %q, %v", got, err)
	}
	if err := <-end; err != nil {
		t.Error(err)
	}
	if !refused(t, s) {
		t.Error("the port takes connections after Drain")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if r := postTo(t, s, chatPath, chatBody); r.status != 200 {
		t.Errorf("after Restart: %d", r.status)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour})
	c := dial(t, s)
	put(t, c, wire(chatPath, chatSSE))
	await(t, s, func(l Load) bool { return l.Running == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); err != context.DeadlineExceeded {
		t.Errorf("error %v", err)
	}
	if got, err := io.ReadAll(c); err != nil || strings.HasSuffix(string(got), "0\r\n\r\n") {
		t.Errorf("request in flight: %q, %v", got, err)
	}
	await(t, s, idle)
}

func TestKillEndsADrain(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour})
	put(t, dial(t, s), wire(chatPath, chatSSE))
	await(t, s, func(l Load) bool { return l.Running == 1 })
	end := make(chan error, 1)
	go func() { end <- s.Drain(t.Context()) }()
	s.Kill()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestShutdownText(t *testing.T) {
	s := start(t, Config{})
	inject(t, s, fault.Fault{Kind: fault.ShutdownText})
	checkShutdownAnswers(t, s)
	s.ClearFaults()
	if r := postTo(t, s, chatPath, chatBody); r.status != 200 {
		t.Errorf("after ClearFaults: %d", r.status)
	}
}

// checkShutdownAnswers expects the answers that a real vLLM 0.32.0 sent while it drained.
func checkShutdownAnswers(t *testing.T, s *Server) {
	t.Helper()
	const openAI = `{"error":{"message":"cannot schedule new futures after shutdown","type":"InternalServerError","param":null,"code":500}}`
	const anthropic = `{"type":"error","error":{"type":"InternalServerError","message":"cannot schedule new futures after shutdown"}}`
	for _, c := range []struct{ path, body, want, vary string }{
		{chatPath, chatBody, openAI, ""},
		{chatPath, chatSSE, openAI, ""},
		{"/v1/chat/completions/batch", `{"messages":[[{"role":"user","content":"x"}]]}`, openAI, ""},
		{"/v1/completions", `{"prompt":"abc"}`, openAI, ""},
		{"/v1/completions", `{"prompt":"abc","stream":true}`, openAI, ""},
		{"/v1/responses", `{"input":"x"}`, openAI, ""},
		{"/v1/responses", `{"input":"x","stream":true}`, openAI, ""},
		{"/tokenize", `{"prompt":"x"}`, openAI, ""},
		{"/v1/messages", chatBody, anthropic, "Origin"},
		{"/v1/messages", chatSSE, anthropic, "Origin"},
		{"/v1/messages/count_tokens", chatBody, anthropic, "Origin"},
	} {
		if r := postTo(t, s, c.path, c.body); r.status != 500 || r.body != c.want || r.header.Get("Vary") != c.vary {
			t.Errorf("%s %s: %d %v %s", c.path, c.body, r.status, r.header, r.body)
		}
	}
	checkAborted(t, s)
	if r := postTo(t, s, chatPath, strings.Replace(chatBody, "tiny", "nope", 1)); r.status != 404 {
		t.Errorf("unknown model: %d", r.status)
	}
	for _, path := range []string{"/health", "/v1/models", "/metrics"} {
		get200(t, s, path)
	}
	if r := ask(t, client(t), s.URL(), http.MethodGet, "/v1/responses/x", ""); r.status != 404 {
		t.Errorf("GET of a response: %d", r.status)
	}
}

// checkAborted expects that requests with token ids are answered as aborted.
func checkAborted(t *testing.T, s *Server) {
	t.Helper()
	const usage = `"usage":{"prompt_tokens":3,"total_tokens":3,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":0`
	withUsage := strings.Replace(tokensSSE, "true", `true,"stream_options":{"include_usage":true}`, 1)
	const generate = `{"token_ids":[5,6,7],"sampling_params":{"max_tokens":3}`
	for _, c := range []struct{ path, body, contains, lacks string }{
		{"/v1/completions", tokensBody, `"text":"","logprobs":null,"finish_reason":"abort"`, "zz"},
		{"/v1/completions", tokensBody, usage, "zz"},
		{"/v1/completions", tokensSSE, "data: [DONE]\n\n", `{`},
		{"/v1/completions", withUsage, usage + "}}", "finish_reason"},
		{"/inference/v1/generate", generate + `}`, `"finish_reason":"abort","stop_reason":null,"token_ids":[]`, "zz"},
		{"/inference/v1/generate", generate + `,"stream":true}`, `"finish_reason":"abort","stop_reason":null,"token_ids":[]`, `"usage":{`},
	} {
		if r := postTo(t, s, c.path, c.body); r.status != 200 || !strings.Contains(r.body, c.contains) || strings.Contains(r.body, c.lacks) {
			t.Errorf("%s %s: %d %s", c.path, c.body, r.status, r.body)
		}
	}
}
