package sim

import (
	"strings"
	"testing"
	"time"
)

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

// A selection has the named series and no others, as vLLM answers it. Without the slash vLLM 0.32.0 shows the whole page.
func TestMetricsOfASelection(t *testing.T) {
	s := start(t, Config{Ranks: 2, CacheBlocks: 10, BlockSize: 16, Models: []string{"m"}})
	const query = "?name%5B%5D=vllm:num_requests_running&name%5B%5D=vllm:cache_config_info"
	var series []string
	for line := range strings.Lines(get200(t, s, "/metrics/"+query).body) {
		if !strings.HasPrefix(line, "#") {
			series = append(series, line[:strings.IndexByte(line, '{')])
		}
	}
	if got, want := strings.Join(series, " "), "vllm:num_requests_running vllm:num_requests_running vllm:cache_config_info vllm:cache_config_info"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, path := range []string{"/metrics" + query, "/metrics/", "/metrics"} {
		body := get200(t, s, path).body
		for _, want := range []string{
			"vllm:prefix_cache_hits_total", `vllm:num_requests_waiting_by_reason{engine="1",model_name="m",reason="capacity"} 0.0`,
			`kv_cache_size_tokens="160"`, `num_gpu_blocks="20"`,
		} {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %s in\n%s", path, want, body)
			}
		}
	}
}
