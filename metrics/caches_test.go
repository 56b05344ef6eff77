package metrics

import (
	"strings"
	"testing"
	"time"

	"tether/proxy"
	"tether/session/prefill"
	"tether/session/warm"
	"tether/upstream"
	"tether/upstream/transport"
)

// Only turns count whose server should have the last prompt and says what it had. A removed upstream leaves nothing behind.
func TestExpectedTokens(t *testing.T) {
	r := fleet(t, "vllm-0", "vllm-1")
	m := New("v1", r)
	before := r.Table()
	stays, gone := before.Members[0].Upstream, before.Members[1].Upstream
	for _, rec := range []proxy.Record{
		{Upstream: stays, ExpectedTokens: 1000, CachedTokens: 900, PromptTokens: 1100},
		{Upstream: stays, ExpectedTokens: 500, CachedTokens: 0, PromptTokens: 600},
		{Upstream: stays, ExpectedTokens: 0, CachedTokens: 70},
		{Upstream: stays, ExpectedTokens: 70, CachedTokens: -1, PromptTokens: 80},
		{Upstream: stays, ExpectedTokens: 70, CachedTokens: 1 << 50, PromptTokens: 80},
		{Upstream: gone, ExpectedTokens: 70, CachedTokens: 70, PromptTokens: 80},
		{},
	} {
		m.Done(&rec)
	}
	if _, err := r.Apply([]upstream.Spec{{Name: "vllm-0", Address: transport.Address{Network: "tcp", Dial: "127.0.0.1:1"}, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	m.Forget(before, r.Table())
	m.Done(&proxy.Record{Upstream: gone, ExpectedTokens: 70, CachedTokens: 70, PromptTokens: 80})
	text := scrape(t, m)
	for _, want := range []string{
		`tether_prompt_tokens_expected_cached_total{upstream="vllm-0"} 1500`, `tether_prompt_tokens_found_cached_total{upstream="vllm-0"} 900`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "vllm-1") {
		t.Error("series of the removed upstream remain")
	}
}

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
	for _, want := range []string{
		`tether_model_prefill_tokens_per_second{model="llama"} 5000`, `tether_model_prefill_tokens_per_second{model="qwen"} 32000`,
		`tether_model_bytes_per_token{model="qwen"} 4`, `tether_model_media_tokens{model="qwen"} 1000`,
		`tether_model_warm_tokens{model="qwen"} 100000`, `tether_model_warm_seconds{model="qwen"} 600`, `tether_model_cache_tokens{model="qwen"} 50000`,
		`tether_model_cache_shortfall_ratio{model="qwen"} 1`, `tether_model_caches_overrun{model="qwen"} 1`, `tether_model_caches_overrun{model="llama"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "tether_model_warm_tokens{"); n != 2 {
		t.Errorf("%d models have gauges, want 2", n)
	}
}
