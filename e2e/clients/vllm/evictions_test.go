package vllm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// On a KV cache that is too small, the share of prompt tokens that tether calls evicted agrees with vLLM's own counters within 5 %.
//
// vLLM counts the prompt tokens that it looked up and those that it found. Of the rest, what a perfect cache would have found was evicted: of
// each later turn the last prompt, in whole blocks.
func TestEvictionsAgree(t *testing.T) {
	list := listed()
	if os.Getenv("VLLM_BLOCKS") == "" || len(list) == 0 {
		t.Skip("no vLLM server with a small KV cache: make test-vllm-evictions starts one")
	}
	p := configured(t, list[:1], "")
	queries, hits := list[0].metric(t, "vllm:prefix_cache_queries_total"), list[0].metric(t, "vllm:prefix_cache_hits_total")
	const conversations, asked, longest = 12, 150, 2_000
	talks, last := make([][]string, conversations), make([]int64, conversations)
	random, perfect := rand.New(rand.NewPCG(5, 6)), int64(0)
	for n := range asked {
		c := int(conversations * random.Float64() * random.Float64()) // some are much more active than others
		if last[c] > longest {
			talks[c], last[c] = nil, 0
		}
		if last[c] == 0 {
			talks[c] = []string{words(fmt.Sprint("Eviction ", n, " of ", time.Now()), 600)}
		} else {
			talks[c] = append(talks[c], "I see.", words(fmt.Sprint("Turn ", n), 160))
		}
		s, err := stream(t.Context(), p, talks[c]...)
		if err != nil {
			t.Fatalf("turn %d: %v", n, err)
		}
		perfect += last[c] / blockSize * blockSize
		last[c] = s.prompt
	}
	queries, hits = list[0].metric(t, "vllm:prefix_cache_queries_total")-queries, list[0].metric(t, "vllm:prefix_cache_hits_total")-hits
	truth := (float64(perfect) - hits) / queries
	tokens := map[string]float64{}
	all := 0.0
	for _, fate := range []string{"hit", "new", "evicted", "restarted", "unknown"} {
		tokens[fate] = p.Metric(t, fmt.Sprintf(`tether_prompt_tokens_total{fate=%q,reason="",upstream="vllm-0"}`, fate))
		all += tokens[fate]
	}
	share := tokens["evicted"] / all
	t.Logf("evicted: %.2f %% of %.0f prompt tokens, by vLLM's counters %.2f %% of %.0f; hits %.0f, by vLLM's counters %.0f; %v",
		100*share, all, 100*truth, queries, tokens["hit"], hits, tokens)
	if all != queries || tokens["hit"] != hits {
		t.Errorf("tether counts %.0f tokens and %.0f hits, vLLM %.0f and %.0f", all, tokens["hit"], queries, hits)
	}
	if truth < 0.1 || truth > 0.9 {
		t.Errorf("vLLM has evicted %.2f %%: the test shows nothing", 100*truth)
	}
	if math.Abs(share-truth) > 0.05*truth {
		t.Errorf("%.2f %% are evicted, by vLLM's counters %.2f %%", 100*share, 100*truth)
	}
}
