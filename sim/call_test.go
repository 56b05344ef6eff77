package sim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Requests that name no rank, or whose path has no rank in vLLM, spread by load. Equally loaded ranks take turns.
func TestRequestsWithoutARankSpread(t *testing.T) {
	s := start(t, Config{Ranks: 4})
	perRank := func() (n [4]uint64) {
		for rank, e := range s.memory.Load().ranks.Engines() {
			n[rank] = e.Stats().Finished
		}
		return n
	}
	for range 8 {
		postTo(t, s, "/v1/completions", `{"prompt":"x","max_tokens":1}`)
	}
	if got := perRank(); got != [4]uint64{2, 2, 2, 2} {
		t.Errorf("by rank: %v", got)
	}
	for range 8 {
		postTo(t, s, "/v1/responses", `{"input":"x","max_output_tokens":1}`, "X-data-parallel-rank: 3")
	}
	if got := perRank(); got != [4]uint64{4, 4, 4, 4} {
		t.Errorf("by rank: %v", got)
	}
	// A busy rank gets no request while the other one is idle.
	s = start(t, Config{Ranks: 2, DecodePerToken: time.Hour})
	put(t, dial(t, s), wire(chatPath, chatBody, "X-data-parallel-rank: 1"))
	await(t, s, func(l Load) bool { return l.Running == 1 })
	for range 4 {
		postTo(t, s, "/v1/completions", `{"prompt":"x","max_tokens":1}`)
	}
	if e := s.memory.Load().ranks.Engines(); e[0].Stats().Finished != 4 {
		t.Errorf("the idle rank finished %d, the busy one %d", e[0].Stats().Finished, e[1].Stats().Finished)
	}
}

func TestRanksHaveCachesOfTheirOwn(t *testing.T) {
	s := start(t, Config{Ranks: 2})
	body := `{"prompt":[` + strings.TrimSuffix(strings.Repeat("1,", 64), ",") + `],"max_tokens":1}`
	for _, c := range []struct{ rank, cached string }{{"0", "0"}, {"1", "0"}, {"0", "48"}, {"1", "48"}} {
		r := postTo(t, s, "/v1/completions", body, "X-data-parallel-rank: "+c.rank)
		if !strings.Contains(r.body, `"cached_tokens":`+c.cached+",") {
			t.Errorf("rank %s: %s, want %s cached", c.rank, r.body, c.cached)
		}
	}
	metrics := get200(t, s, "/metrics").body
	for _, line := range []string{
		`vllm:prefix_cache_hits_total{engine="1",model_name="tiny"} 48.0`,
		`vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 128.0`,
		`vllm:num_requests_running{engine="0",model_name="tiny"} 0.0`,
		`vllm:iteration_tokens_total_count{engine="0",model_name="tiny"} 4.0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no line %s in\n%s", line, metrics)
		}
	}
}

func TestEndWithoutALimit(t *testing.T) {
	s := start(t, Config{AnswerTokens: 5})
	for path, want := range map[string]string{
		chatPath:          `"finish_reason":"stop"`,
		"/v1/completions": `"finish_reason":"length"`,
		"/v1/responses":   `"status":"completed","text"`,
	} {
		body := `{"messages":[{"role":"user","content":"x"}],"prompt":"x","input":"x"}`
		r := postTo(t, s, path, body)
		if !strings.Contains(r.body, want) || !strings.Contains(strings.ReplaceAll(r.body, "output_tokens", "completion_tokens"), `"completion_tokens":5`) {
			t.Errorf("%s: %s", path, r.body)
		}
	}
}

func TestLongPrompts(t *testing.T) {
	s := start(t, Config{MaxModelLen: 100})
	long := strings.Repeat("abcd", 100)
	const want = "This model's maximum context length is 100 tokens. However, your prompt contains at least 101 input tokens, " +
		"which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. " +
		"(parameter=input_tokens, value=101)"
	for path, body := range map[string]string{
		chatPath:          `{"messages":[{"role":"user","content":"` + long + `"}]}`,
		"/v1/completions": `{"prompt":"` + long + `"}`,
		"/v1/messages":    `{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"` + long + `"}]}`,
		"/v1/responses":   `{"input":"` + long + `"}`,
	} {
		var e struct {
			Error struct{ Message string }
		}
		r := postTo(t, s, path, body)
		if err := json.Unmarshal([]byte(r.body), &e); err != nil || r.status != 400 || e.Error.Message != want {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if r := postTo(t, s, "/v1/completions", `{"prompt":[1,2],"max_tokens":100}`); !strings.Contains(r.body, `"completion_tokens":98`) {
		t.Errorf("answers are not limited by the context: %s", r.body)
	}
	await(t, s, idle)
}
