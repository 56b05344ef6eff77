package metrics

import (
	"strings"
	"testing"
	"time"

	"tether/session/prefill"
	"tether/session/warm"
)

func TestModelGauges(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	e := prefill.New(prefill.Config{PrefillRate: map[string]float64{"llama": 5_000}})
	m.Models(e)
	now := time.Now()
	e.Add("qwen", now)
	e.Add("\xff", now) // a server lists what it likes
	e.Add(strings.Repeat("x", maxModelName+1), now)
	qwen := e.Of([]byte("qwen"))
	for turn := range 2 {
		for id := range uint64(10) {
			at := now.Add(time.Duration(turn) * 5 * time.Second)
			e.Note(qwen, warm.Turn{Session: id + 1, Prompt: 10_000, Cached: 0, Began: at, Ended: at})
		}
	}
	qwen.Caches.Look(50_000, now.Add(5*time.Second))
	text := scrape(t, m)
	want(t, text,
		`tether_model_prefill_tokens_per_second{model="llama"} 5000`, `tether_model_prefill_tokens_per_second{model="qwen"} 32000`,
		`tether_model_bytes_per_token{model="qwen"} 4`, `tether_model_media_tokens{model="qwen"} 1000`,
		`tether_model_warm_tokens{model="qwen"} 100000`, `tether_model_warm_seconds{model="qwen"} 600`, `tether_model_cache_tokens{model="qwen"} 50000`,
		`tether_model_cache_shortfall_ratio{model="qwen"} 1`, `tether_model_caches_overrun{model="qwen"} 1`, `tether_model_caches_overrun{model="llama"} 0`,
	)
	if n := strings.Count(text, "tether_model_warm_tokens{"); n != 2 {
		t.Errorf("%d models have gauges, want 2", n)
	}
}
