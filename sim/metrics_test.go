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
	const query = "?name%5B%5D=vllm:num_requests_running&name%5B%5D=vllm:cache_config_info&name%5B%5D=process_start_time_seconds"
	series := func(s *Server, path string) string {
		var names []string
		for line := range strings.Lines(get200(t, s, path).body) {
			if !strings.HasPrefix(line, "#") {
				names = append(names, line[:strings.IndexAny(line, "{ ")])
			}
		}
		return strings.Join(names, " ")
	}
	s := start(t, Config{CacheBlocks: 10, BlockSize: 16, Models: []string{"m"}})
	if got, want := series(s, "/metrics/"+query), "process_start_time_seconds vllm:num_requests_running vllm:cache_config_info"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, path := range []string{"/metrics" + query, "/metrics/", "/metrics"} {
		if got := series(s, path); !strings.Contains(got, "vllm:prefix_cache_hits_total") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// With several ranks there are no selections, and no gauges of an engine before its first request. The blocks are those of all ranks.
func TestMetricsOfRanks(t *testing.T) {
	s := start(t, Config{Ranks: 2, CacheBlocks: 10, BlockSize: 16, Models: []string{"m"}})
	if body := get200(t, s, "/metrics/?name%5B%5D=vllm:cache_config_info").body; body != "" {
		t.Errorf("a selection:\n%s", body)
	}
	request := wire("/v1/completions", `{"prompt":[1,2,3],"max_tokens":1}`)
	put(t, dial(t, s), strings.Replace(request, "\r\n", "\r\nX-data-parallel-rank: 1\r\n", 1))
	await(t, s, func(Load) bool { return s.Stats().Finished == 1 })
	body := get200(t, s, "/metrics").body
	for line, want := range map[string]bool{
		`vllm:num_requests_running{engine="0"`: false, `vllm:num_requests_running{engine="1",model_name="m"} 0.0`: true,
		`vllm:num_requests_waiting_by_reason{engine="1",model_name="m",reason="capacity"} 0.0`: true,
		`engine="0",gpu_memory`: true, `kv_cache_size_tokens="160"`: true, `num_gpu_blocks="20"`: true,
	} {
		if strings.Contains(body, line) != want {
			t.Errorf("%s: want %v in\n%s", line, want, body)
		}
	}
}
