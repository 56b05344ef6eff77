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
