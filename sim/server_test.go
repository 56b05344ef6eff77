package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConfigValidate(t *testing.T) {
	err := Config{BlockSize: -1, MaxModelLen: 1, PrefillPerToken: -time.Second}.Validate()
	want := "MaxModelLen: 1, want 2 or more\nBlockSize: -1, want 1 or more\nPrefillPerToken: -1s, want 0s or more"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestRecordingIsByteExact(t *testing.T) {
	var bodies [][]byte
	s := start(t, Config{Record: 2, OnRequest: func(seen Seen) { bodies = append(bodies, seen.Body) }})
	body := make([]byte, 0, 256*40)
	for i := range 256 * 40 {
		body = append(body, byte(i*7))
	}
	get200(t, s, "/version")
	c := dial(t, s)
	put(t, c, "POST /v1/nope%2f?a=b&a=%20c HTTP/1.1\r\nHost: some.host\r\nX-Session-Id:  id 1 \r\nX-Two: a\r\nx-two: b\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n"+fmt.Sprintf("%x\r\n%s\r\n1\r\n!\r\n0\r\n\r\n", len(body), body))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	postTo(t, s, chatPath, chatBody, "X-Session-Id: two")
	await(t, s, idle)
	seen := s.Requests()
	if len(seen) != 2 {
		t.Fatalf("%d requests, want the newest 2", len(seen))
	}
	first, second := seen[0], seen[1]
	if !bytes.Equal(first.Body, append(body, '!')) || !bytes.Equal(first.Body, bodies[1]) {
		t.Error("the body is not what was sent")
	}
	got := fmt.Sprint(first.Method, first.Target, first.Path, first.RawQuery, first.Host, first.Session, first.Header["X-Two"],
		first.ContentLength, first.TransferEncoding, first.Status, first.Done, first.Aborted)
	want := fmt.Sprint("POST", "/v1/nope%2f?a=b&a=%20c", "/v1/nope/", "a=b&a=%20c", "some.host", "id 1", []string{"a", "b"},
		-1, []string{"chunked"}, 404, true, false)
	if got != want {
		t.Errorf("seen %s\nwant %s", got, want)
	}
	if second.Session != "two" || second.Model != "tiny" || string(second.Body) != chatBody || second.Status != 200 {
		t.Errorf("seen %+v", second)
	}
}

func TestAPIKey(t *testing.T) {
	s := start(t, Config{APIKey: "sekrit"})
	for _, c := range []struct {
		method, path, auth string
		status             int
	}{
		{"GET", "/v1/models", "", 401},
		{"GET", "/v1/models", "Bearer wrong", 401},
		{"GET", "/v1/models", "bearer sekrit", 200},
		{"GET", "/v1/nope", "", 401},
		{"POST", "/inference/v1/generate", "", 401},
		{"OPTIONS", "/v1/models", "", 405},
		{"GET", "/health", "", 200},
		{"POST", "/tokenize", "", 400},
	} {
		r := ask(t, client(t), s.URL(), c.method, c.path, "", "Authorization: "+c.auth)
		if r.status != c.status || (r.status == 401 && (r.body != `{"error":"Unauthorized"}` || r.header.Get("Vary") != "")) {
			t.Errorf("%s %s %q: %d %s", c.method, c.path, c.auth, r.status, r.body)
		}
	}
}

func TestAllowedOrigins(t *testing.T) {
	for allowed, want := range map[string]string{"*": "*", "http://a.b": "http://a.b", "http://c.d": ""} {
		s := start(t, Config{AllowedOrigins: []string{allowed}})
		r := ask(t, client(t), s.URL(), "OPTIONS", chatPath, "", "Origin: http://a.b", "Access-Control-Request-Method: POST")
		ok := r.status == 200 && r.body == "OK"
		if r.header.Get("Access-Control-Allow-Origin") != want || ok != (want != "") {
			t.Errorf("%s: preflight %d %v %s", allowed, r.status, r.header, r.body)
		}
		r = postTo(t, s, chatPath, chatSSE, "Origin: http://a.b")
		if r.header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: %v", allowed, r.header)
		}
	}
}

// Requests that name no rank, or on paths where vLLM does not look for one, spread by load, and equals take turns.
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
	// A rank with a long answer under way gets none of what the other can take.
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

func TestMetricsShowTheLoad(t *testing.T) {
	s := start(t, Config{MaxSeqs: 1, CacheBlocks: 10, PrefillPerToken: time.Hour, Name: "a", Models: []string{"m"}})
	for range 3 {
		put(t, dial(t, s), wire("/v1/completions", `{"prompt":[1,2,3],"max_tokens":14}`))
	}
	await(t, s, func(l Load) bool { return l.Running == 1 && l.Waiting == 2 })
	r := get200(t, s, "/metrics")
	for _, line := range []string{"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"} {
		want := map[string]string{"num_requests_running": "1.0", "num_requests_waiting": "2.0", "kv_cache_usage_perc": "0.2"}[line]
		if !strings.Contains(r.body, "vllm:"+line+`{engine="0",model_name="m"} `+want+"\n") {
			t.Errorf("%s is not %s in\n%s", line, want, r.body)
		}
	}
	if r.header.Get("X-Sim-Server") != "a" {
		t.Errorf("header %v", r.header)
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

func TestConversationHitsItsCache(t *testing.T) {
	s := start(t, Config{})
	type turn struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	messages := []turn{{"user", "Tell me about the sea"}}
	for i := range 4 {
		body, err := json.Marshal(map[string]any{"model": "tiny", "messages": messages, "max_tokens": 40})
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Choices []struct{ Message turn }
			Usage   struct {
				PromptTokens        int `json:"prompt_tokens"`
				PromptTokensDetails struct {
					CachedTokens int `json:"cached_tokens"`
				} `json:"prompt_tokens_details"`
			}
		}
		if err := json.Unmarshal([]byte(postTo(t, s, chatPath, string(body)).body), &answer); err != nil {
			t.Fatal(err)
		}
		// All but the new question and its frame was there before, answers included.
		prompt, cached := answer.Usage.PromptTokens, answer.Usage.PromptTokensDetails.CachedTokens
		if i > 0 && prompt-cached > 16+24 {
			t.Errorf("turn %d: %d of %d tokens cached", i, cached, prompt)
		}
		messages = append(messages, answer.Choices[0].Message, turn{"user", "And then?"})
	}
}

func TestOtherCalls(t *testing.T) {
	s := start(t, Config{})
	for _, c := range []struct{ path, body, want string }{
		{"/v1/embeddings", `{"model":"tiny","input":["a","b"]}`, `"object":"embedding","embedding":[`},
		{"/v2/embed", `{"model":"tiny","texts":["a"]}`, `"embeddings":{"float":[[`},
		{"/pooling", `{"model":"tiny","input":"a"}`, `"object":"pooling"`},
		{"/classify", `{"model":"tiny","input":"a"}`, `"num_classes":2`},
		{"/score", `{"model":"tiny","text_1":"a","text_2":["b","c"]}`, `"index":1,"object":"score"`},
		{"/v1/score", `{"model":"tiny","queries":["a","b"],"documents":["b","c"]}`, `"object":"score"`},
		{"/rerank", `{"model":"tiny","query":"a","documents":["b","c"]}`, `"document":{"text":"c","multi_modal":null}`},
		{"/v2/rerank", `{"model":"tiny","query":"a","documents":["b"]}`, `"relevance_score":`},
		{"/tokenize", `{"messages":[{"role":"user","content":"x"}]}`, `"count":`},
		{"/detokenize", `{"tokens":[1819043144,111]}`, `{"prompt":"Hello"}`},
		{"/inference/v1/generate", `{"token_ids":[1,2],"sampling_params":{"max_tokens":2}}`, `"finish_reason":"length","stop_reason":null,"token_ids":[`},
		{"/inference/v1/generate", `{"token_ids":[1,2],"sampling_params":{"max_tokens":2},"stream":true}`, "data: [DONE]\n\n"},
	} {
		if r := postTo(t, s, c.path, c.body); r.status != 200 || !strings.Contains(r.body, c.want) {
			t.Errorf("%s: %d %s", c.path, r.status, r.body)
		}
	}
	if r := postTo(t, s, "/score", `{"text_1":["a","b"],"text_2":["a","b","c"]}`); r.status != 400 {
		t.Errorf("score of 2:3: %d", r.status)
	}
}

func TestTranscription(t *testing.T) {
	s := start(t, Config{Record: 1})
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	file, err := w.CreateFormFile("file", "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(bytes.Repeat([]byte{0, 255, '\r', '\n'}, 50000)); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteField("model", "tiny"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	sent := form.String()
	r := postTo(t, s, "/v1/audio/transcriptions", sent, "Content-Type: "+w.FormDataContentType())
	if r.status != 200 || !strings.HasPrefix(r.body, `{"text":" `) || !strings.HasSuffix(r.body, `"seconds":7}}`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if seen := s.Requests(); string(seen[0].Body) != sent {
		t.Error("the body is not what was sent")
	}
	if r := postTo(t, s, "/v1/audio/transcriptions", strings.Replace(sent, "tiny", "nope", 1), "Content-Type: "+w.FormDataContentType()); r.status != 404 {
		t.Errorf("unknown model: %d", r.status)
	}
	if r := postTo(t, s, "/v1/audio/transcriptions", `{}`); r.status != 400 {
		t.Errorf("no form: %d", r.status)
	}
}

func TestExpectContinue(t *testing.T) {
	s := start(t, Config{})
	c := dial(t, s)
	request := wire(chatPath, chatBody, "Expect: 100-continue", "Connection: close")
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	put(t, c, head+"\r\n\r\n")
	interim := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(c, interim); err != nil || string(interim) != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q, %v", interim, err)
	}
	put(t, c, body)
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAnswersHaveTheirLength(t *testing.T) {
	s := start(t, Config{})
	got, err := exchange(t, s, wire(chatPath, chatBody, "Connection: close"))
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	var names []string
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	want := []string{"Content-Length", "Content-Type", "Server", "Vary", "Date", "Connection"}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if !strings.Contains(head, fmt.Sprintf("Content-Length: %d", len(body))) || !json.Valid([]byte(body)) {
		t.Errorf("%q", got)
	}
}
