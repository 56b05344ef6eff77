package metrics

import (
	"strings"
	"testing"
	"time"

	"tether/proxy"
	"tether/session/balance"
	"tether/session/fates"
	"tether/upstream"
	"tether/upstream/transport"
)

func TestFates(t *testing.T) {
	r := fleet(t, "vllm-0", "vllm-1", "vllm-2")
	m := New("v1", r)
	before := r.Table()
	a, silent, gone := before.Members[0].Upstream, before.Members[1].Upstream, before.Members[2].Upstream
	for _, rec := range []proxy.Record{
		{Upstream: a, Fates: fates.Split{Hit: 900, New: 100}, Saved: time.Second},
		{Upstream: a, Fates: fates.Split{New: 10, Lost: 500, Cause: fates.Moved, Reason: fates.Reason(balance.Busier)}},
		{Upstream: a, Fates: fates.Split{New: 10, Lost: 40, Cause: fates.Evicted}},
		{Upstream: a},
		{},
		{Upstream: silent, Fates: fates.Split{Lost: 70, Cause: fates.Unknown}},
		{Upstream: gone, Fates: fates.Split{Hit: 70}},
	} {
		rec.Started = time.Now()
		m.Done(&rec)
	}
	if _, err := r.Apply([]upstream.Spec{
		{Name: "vllm-0", Address: transport.Address{Network: "tcp", Dial: "127.0.0.1:1"}, Weight: 100},
		{Name: "vllm-1", Address: transport.Address{Network: "tcp", Dial: "127.0.0.1:1"}, Weight: 100},
	}); err != nil {
		t.Fatal(err)
	}
	m.Forget(before, r.Table())
	m.Done(&proxy.Record{Upstream: gone, Fates: fates.Split{Hit: 70}, Started: time.Now()})
	text := scrape(t, m)
	want(t, text,
		`tether_prompt_tokens_total{fate="hit",reason="",upstream="vllm-0"} 900`,
		`tether_prompt_tokens_total{fate="new",reason="",upstream="vllm-0"} 120`,
		`tether_prompt_tokens_total{fate="moved",reason="busier",upstream="vllm-0"} 500`,
		`tether_prompt_tokens_total{fate="evicted",reason="",upstream="vllm-0"} 40`,
		`tether_prompt_tokens_total{fate="restarted",reason="",upstream="vllm-0"} 0`,
		`tether_prompt_tokens_total{fate="unknown",reason="",upstream="vllm-1"} 70`,
	)
	for _, absent := range []string{`fate="hit",reason="",upstream="vllm-1"`, "vllm-2"} {
		if strings.Contains(text, absent) {
			t.Errorf("%s in\n%s", absent, text)
		}
	}
}

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
	apply(t, r, spec("vllm-0", 1))
	m.Forget(before, r.Table())
	m.Done(&proxy.Record{Upstream: gone, ExpectedTokens: 70, CachedTokens: 70, PromptTokens: 80})
	text := scrape(t, m)
	want(t, text,
		`tether_prompt_tokens_expected_cached_total{upstream="vllm-0"} 1500`, `tether_prompt_tokens_found_cached_total{upstream="vllm-0"} 900`,
	)
	if strings.Contains(text, "vllm-1") {
		t.Error("series of the removed upstream remain")
	}
}
