package sim

import (
	"net/http"
	"strings"
	"testing"

	"tether/sim/fault"
)

func inject(t *testing.T, s *Server, f fault.Fault) {
	t.Helper()
	if err := s.Inject(f); err != nil {
		t.Fatal(err)
	}
}

func TestInjectedFaultsMeanTheirRequests(t *testing.T) {
	s := start(t, Config{})
	inject(t, s, fault.Fault{Kind: "503", Times: 2})
	get200(t, s, "/health") // monitoring is not meant
	get200(t, s, "/v1/models")
	for i, want := range []int{503, 503, 200} {
		if r := postTo(t, s, chatPath, chatBody); r.status != want {
			t.Errorf("request %d: %d, want %d", i, r.status, want)
		}
	}
	inject(t, s, fault.Fault{Kind: "status", Arg: "418", Path: "/v1/messages"})
	inject(t, s, fault.Fault{Kind: "status", Arg: "419", Path: "/metr*"})
	for path, want := range map[string]int{chatPath: 200, "/v1/messages": 418, "/v1/messages/count_tokens": 200} {
		if r := postTo(t, s, path, chatBody); r.status != want {
			t.Errorf("%s: %d, want %d", path, r.status, want)
		}
	}
	if r := ask(t, client(t), s.URL(), "GET", "/metrics", ""); r.status != 419 {
		t.Errorf("/metrics: %d", r.status)
	}
	s.ClearFaults()
	if r := postTo(t, s, "/v1/messages", chatBody); r.status != 200 {
		t.Errorf("after ClearFaults: %d", r.status)
	}
}

func TestHealthFaults(t *testing.T) {
	s := start(t, Config{})
	inject(t, s, fault.Fault{Kind: fault.Unhealthy})
	if r := ask(t, client(t), s.URL(), "GET", "/health", ""); r.status != 503 {
		t.Errorf("/health: %d", r.status)
	}
	if r := postTo(t, s, chatPath, chatBody); r.status != 200 {
		t.Errorf("chat: %d", r.status)
	}
	s.ClearFaults()
	inject(t, s, fault.Fault{Kind: fault.HangHealth})
	c := dial(t, s)
	put(t, c, "GET /health HTTP/1.1\r\nHost: sim\r\n\r\n")
	await(t, s, func(l Load) bool { return l.Held == 1 })
	if r := postTo(t, s, chatPath, chatBody); r.status != 200 {
		t.Errorf("chat: %d", r.status)
	}
	c.Close()
	await(t, s, idle)
}

// The API of the faults needs no key, and its faults apply.
func TestFaultAPI(t *testing.T) {
	s := start(t, Config{APIKey: "key"})
	if r := postTo(t, s, "/sim/fault", `{"kind":"status","arg":"429","times":1}`); r.status != 204 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := postTo(t, s, chatPath, chatBody); r.status != 429 {
		t.Errorf("chat: %d", r.status)
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

// checkShutdownAnswers compares with what a real vLLM 0.32.0 sent while it drained.
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
