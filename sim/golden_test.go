package sim

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The golden files are the answers of a real vLLM. To record them again (0.32.0, --served-model-name tiny, block size 32,
// response store on, prompt tokens details on): go test ./sim -run TestGolden -real http://127.0.0.1:8101
var realURL = flag.String("real", "", "base URL of a real vLLM to record the golden files from")

// goldenCases are one request each: name, method, path, body and headers.
var goldenCases = []struct {
	name, method, path, body string
	headers                  []string
}{
	{"health", "GET", "/health", "", nil},
	{"health_head", "HEAD", "/health", "", nil},
	{"health_post", "POST", "/health", "x", nil},
	{"ping", "POST", "/ping", "", nil},
	{"version", "GET", "/version", "", nil},
	{"load", "GET", "/load", "", nil},
	{"models", "GET", "/v1/models", "", nil},
	{"models_delete", "DELETE", "/v1/models", "", nil},
	{"models_slash", "GET", "/v1/models/", "", nil},
	{"unknown_path", "GET", "/v1/nope", "", nil},
	{"options", "OPTIONS", "/v1/chat/completions", "", nil},
	{"preflight", "OPTIONS", "/v1/chat/completions", "", []string{
		"Origin: http://a.b", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type",
	}},
	{"origin", "GET", "/version", "", []string{"Origin: http://a.b"}},
	{"encoded_path", "GET", "/v1/chat%2Fcompletions", "", nil},

	{"chat", "POST", "/v1/chat/completions", chatWith(`"max_tokens":8`), nil},
	{"chat_completion_limit", "POST", "/v1/chat/completions", chatWith(`"max_completion_tokens":8,"max_tokens":3`), nil},
	{"chat_parts", "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"max_tokens":8}`, nil},
	{"chat_n", "POST", "/v1/chat/completions", chatWith(`"max_tokens":8,"n":2`), nil},
	{"chat_request_id", "POST", "/v1/chat/completions", chatWith(`"max_tokens":2`), []string{"X-Request-Id: mine"}},
	{"chat_load", "POST", "/v1/chat/completions", chatWith(`"max_tokens":2`), []string{"Endpoint-Load-Metrics-Format: TEXT"}},
	{"chat_sse", "POST", "/v1/chat/completions", chatWith(`"max_tokens":8,"stream":true`), nil},
	{"chat_sse_usage", "POST", "/v1/chat/completions", chatWith(`"max_tokens":8,"stream":true,"stream_options":{"include_usage":true}`), nil},
	{"chat_sse_n", "POST", "/v1/chat/completions", chatWith(`"max_tokens":1,"stream":true,"n":2`), nil},
	{
		"chat_batch", "POST", "/v1/chat/completions/batch",
		`{"model":"tiny","messages":[[{"role":"user","content":"Hi"}],[{"role":"user","content":"Ho"}]],"max_tokens":3}`, nil,
	},

	{"completion", "POST", "/v1/completions", `{"model":"tiny","prompt":"Hello there","max_tokens":8}`, nil},
	{"completion_default_limit", "POST", "/v1/completions", `{"model":"tiny","prompt":"Hello there"}`, nil},
	{"completion_ids", "POST", "/v1/completions", `{"model":"tiny","prompt":[5,6,7],"max_tokens":8}`, nil},
	{"completion_many", "POST", "/v1/completions", `{"model":"tiny","prompt":[[5,6],[7,8]],"max_tokens":2,"n":2}`, nil},
	{"completion_sse", "POST", "/v1/completions", `{"model":"tiny","prompt":"Hello there","max_tokens":8,"stream":true}`, nil},
	{
		"completion_sse_usage", "POST", "/v1/completions",
		`{"model":"tiny","prompt":[5,6,7],"max_tokens":8,"stream":true,"stream_options":{"include_usage":true}}`, nil,
	},

	{"response", "POST", "/v1/responses", `{"model":"tiny","input":"Hello there","max_output_tokens":24}`, nil},
	{"response_items", "POST", "/v1/responses", `{"model":"tiny","input":[{"role":"user","content":"hi"}],"instructions":"be nice",` +
		`"max_output_tokens":24,"metadata":{"a":"b"},"temperature":0.5,"user":"u","store":false}`, nil},
	{"response_sse", "POST", "/v1/responses", `{"model":"tiny","input":"Hello there","max_output_tokens":24,"stream":true}`, nil},
	{"response_background", "POST", "/v1/responses", `{"model":"tiny","input":"Hi","max_output_tokens":4,"background":true}`, nil},
	{
		"response_background_unstored", "POST", "/v1/responses",
		`{"model":"tiny","input":"Hi","max_output_tokens":4,"background":true,"store":false}`, nil,
	},
	{"response_unknown", "GET", "/v1/responses/resp_x", "", nil},
	{"response_unknown_cancel", "POST", "/v1/responses/resp_x/cancel", "", nil},
	{"response_unknown_previous", "POST", "/v1/responses", `{"model":"tiny","input":"Hi","previous_response_id":"resp_x"}`, nil},
	{
		"response_unknown_previous_sse", "POST", "/v1/responses",
		`{"model":"tiny","input":"Hi","previous_response_id":"resp_x","stream":true}`, nil,
	},
	{"response_no_input", "POST", "/v1/responses", `{"model":"tiny","x":1}`, nil},
	{"response_delete", "DELETE", "/v1/responses/resp_x", "", nil},

	{"message", "POST", "/v1/messages", chatWith(`"max_tokens":24`), nil},
	{"message_sse", "POST", "/v1/messages", chatWith(`"max_tokens":24,"stream":true`), nil},
	{"message_unknown_model", "POST", "/v1/messages", strings.Replace(chatWith(`"max_tokens":2`), "tiny", "nope", 1), nil},
	{"message_not_json", "POST", "/v1/messages", `{bad`, nil},
	{"message_missing", "POST", "/v1/messages", `{}`, nil},
	{"message_empty", "POST", "/v1/messages", `{"model":"tiny","messages":[],"max_tokens":2}`, nil},
	{"message_zero", "POST", "/v1/messages", chatWith(`"max_tokens":0`), nil},
	{"count_tokens", "POST", "/v1/messages/count_tokens", chatWith(`"x":0`), nil},

	{"wrong_content_type", "POST", "/v1/chat/completions", `{}`, []string{"Content-Type: text/plain"}},
	{"not_json", "POST", "/v1/chat/completions", `{bad`, nil},
	{"not_json_comma", "POST", "/v1/chat/completions", `{"model":"tiny","max_tokens":2,}`, nil},
	{"not_json_cut", "POST", "/v1/chat/completions", `{"model":"tiny"`, nil},
	{"not_json_word", "POST", "/v1/chat/completions", `nope`, nil},
	{"json_list", "POST", "/v1/chat/completions", `[1]`, nil},
	{"json_text", "POST", "/v1/chat/completions", `"x"`, nil},
	{"no_messages", "POST", "/v1/chat/completions", `{}`, nil},
	{"messages_no_list", "POST", "/v1/chat/completions", `{"messages":"x"}`, nil},
	{"limit_no_number", "POST", "/v1/chat/completions", chatWith(`"max_tokens":"x"`), nil},
	{"model_no_text", "POST", "/v1/chat/completions", `{"model":1,"messages":[]}`, nil},
	{"stream_no_bool", "POST", "/v1/chat/completions", chatWith(`"stream":"maybe"`), nil},
	{"not_json_after", "POST", "/v1/chat/completions", `{"a":1 "b":2}`, nil},
	{"not_json_list", "POST", "/v1/chat/completions", `{"a":[1 2]}`, nil},
	{"empty_messages", "POST", "/v1/chat/completions", `{"messages":[]}`, nil},
	{"unknown_model", "POST", "/v1/chat/completions", strings.Replace(chatWith(`"max_tokens":2`), "tiny", "nope", 1), nil},
	{"zero_tokens", "POST", "/v1/chat/completions", chatWith(`"max_tokens":0`), nil},
	{"no_choices", "POST", "/v1/chat/completions", chatWith(`"n":0`), nil},
	{"options_without_stream", "POST", "/v1/chat/completions", chatWith(`"max_tokens":2,"stream_options":{"include_usage":true}`), nil},
	{"rank_out_of_range", "POST", "/v1/chat/completions", chatWith(`"max_tokens":2`), []string{"X-data-parallel-rank: 7"}},
	{"rank_negative", "POST", "/v1/chat/completions", chatWith(`"max_tokens":2`), []string{"X-data-parallel-rank: -1"}},
	{"rank_no_number", "POST", "/v1/chat/completions", chatWith(`"max_tokens":2`), []string{"X-data-parallel-rank: x"}},
	{"rank_sse", "POST", "/v1/chat/completions", chatWith(`"max_tokens":2,"stream":true`), []string{"X-data-parallel-rank: 7"}},
	{"rank_batch", "POST", "/v1/chat/completions/batch", `{"model":"tiny","messages":[[{"role":"user","content":"Hi"}]],"max_tokens":2}`, []string{"X-data-parallel-rank: 7"}},
	{"rank_completion", "POST", "/v1/completions", `{"model":"tiny","prompt":"Hello","max_tokens":2}`, []string{"X-data-parallel-rank: 7"}},
	{"rank_messages", "POST", "/v1/messages", chatWith(`"max_tokens":2`), []string{"X-data-parallel-rank: 7"}},
	{"rank_completion_sse", "POST", "/v1/completions", `{"model":"tiny","prompt":"Hello","max_tokens":2,"stream":true}`, []string{"X-data-parallel-rank: 7"}},
	{"rank_messages_sse", "POST", "/v1/messages", chatWith(`"max_tokens":2,"stream":true`), []string{"X-data-parallel-rank: 7"}},
	{"rank_count_tokens", "POST", "/v1/messages/count_tokens", `{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}`, []string{"X-data-parallel-rank: 7"}},
	{"rank_response", "POST", "/v1/responses", `{"model":"tiny","input":"Hello there","max_output_tokens":24}`, []string{"X-data-parallel-rank: 7"}},
	{"rank_tokenize", "POST", "/tokenize", `{"model":"tiny","prompt":"Hello"}`, []string{"X-data-parallel-rank: 7"}},
	{"no_prompt", "POST", "/v1/completions", `{"model":"tiny"}`, nil},
	{"empty_prompt", "POST", "/v1/completions", `{"model":"tiny","prompt":""}`, nil},
	{"empty_prompts", "POST", "/v1/completions", `{"model":"tiny","prompt":[]}`, nil},
	{"tokenize", "POST", "/tokenize", `{"model":"tiny","prompt":"Hello"}`, nil},
}

func chatWith(fields string) string {
	return `{"model":"tiny","messages":[{"role":"user","content":"Hello there"}],` + fields + `}`
}

func TestGolden(t *testing.T) {
	s := start(t, Config{})
	base := s.URL()
	if *realURL != "" {
		base = *realURL
	}
	for _, c := range goldenCases {
		t.Run(c.name, func(t *testing.T) {
			r := ask(t, client(t), base, c.method, c.path, c.body, c.headers...)
			got := normal(r)
			file := filepath.Join("testdata", "golden", c.name+".txt")
			if *realURL != "" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s %s %s\n-vLLM +sim:\n%s", c.method, c.path, c.body, d)
			}
		})
	}
}

// normal returns the part of an answer that two servers with different models have in common.
func normal(r reply) string {
	var lines []string
	for name := range r.header {
		lines = append(lines, strings.ToLower(name)+": "+headerValue(r.header, name))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%d\n%s\n\n%s\n", r.status, strings.Join(lines, "\n"), normalBody(r.body))
}

func headerValue(h http.Header, name string) string {
	switch name {
	case "Date", "Content-Length":
		return "..."
	case "Location":
		return h.Get(name)[strings.Index(h.Get(name), "/v1"):]
	}
	return h.Get(name)
}

var normalRules = []struct{ from, to string }{
	{`(chatcmpl-|cmpl-|resp_|msg_|modelperm-)[0-9a-f]{16}`, `${1}ID`},
	{`"(content|text|delta)":"(?:[^"\\]|\\.)*"`, `"$1":"TEXT"`},
	{`"(created|created_at|sequence_number|count|max_model_len|[a-z_]*tokens)":[0-9]+`, `"$1":0`},
	{`"tokens":\[[0-9,]*\]`, `"tokens":[IDS]`},
	{`"root":"[^"]*"`, `"root":"ROOT"`},
	{`<dict of [0-9]+ items>`, `<dict of N items>`}, // vLLM adds fields of its own to some bodies
}

// normalBody also merges repeated events, because two models have text at different tokens.
func normalBody(body string) string {
	for _, r := range normalRules {
		body = regexp.MustCompile(r.from).ReplaceAllString(body, r.to)
	}
	return strings.Join(slices.Compact(strings.Split(body, "\n\n")), "\n\n")
}
