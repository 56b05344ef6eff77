package vllm

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"

	"tether/e2e/binary"
)

// streamed is what the stream of an answer said.
type streamed struct {
	first          time.Duration // until the first generated token
	prompt, cached int64
}

// stream asks for one token, streamed.
func stream(ctx context.Context, p *binary.Tether, messages ...string) (s streamed, err error) {
	params := openai.ChatCompletionNewParams{
		Model: "tiny", MaxTokens: openai.Int(1), StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	}
	for i, m := range messages {
		if i%2 == 0 {
			params.Messages = append(params.Messages, openai.UserMessage(m))
		} else {
			params.Messages = append(params.Messages, openai.AssistantMessage(m))
		}
	}
	client := clientOf(p)
	started := time.Now()
	answer := client.Chat.Completions.NewStreaming(ctx, params)
	for answer.Next() {
		if s.first == 0 {
			s.first = time.Since(started)
		}
		if u := answer.Current().Usage; u.TotalTokens > 0 {
			s.prompt, s.cached = u.PromptTokens, u.PromptTokensDetails.CachedTokens
		}
	}
	return s, answer.Err()
}

// words is a text of about n bytes, which are as many tokens, that no other text begins with.
func words(name string, n int) string {
	return name + strings.Repeat(" and on it goes.", n/16)
}

// sumOf is the sum of a counter over the servers of p.
func sumOf(t *testing.T, p *binary.Tether, name string, list []server) (sum float64) {
	t.Helper()
	for _, s := range list {
		if v := p.Metric(t, fmt.Sprintf("%s{upstream=%q}", name, strings.TrimPrefix(s.url, "http://"))); v > 0 {
			sum += v
		}
	}
	return sum
}

// On caches with room for all conversations, vLLM finds what tether expects, within 5 %, and tether learns how many bytes make a token.
func TestExpectedTokensAreCached(t *testing.T) {
	list := servers(t)
	t.Setenv("TETHER_SESSION_MOVE_WHEN_BUSIER_BY", "off") // nothing is expected of a turn that moved
	p := start(t, list)
	const conversations, turns, length = 8, 5, 1_500
	var all sync.WaitGroup
	for c := range conversations {
		all.Go(func() {
			messages := []string{words(fmt.Sprint("Expectation ", c, " of ", time.Now()), length)}
			for turn := range turns {
				if _, err := stream(t.Context(), p, messages...); err != nil {
					t.Errorf("conversation %d, turn %d: %v", c, turn, err)
					return
				}
				messages = append(messages, "I see.", words(fmt.Sprint("Turn ", turn), length/8))
			}
		})
	}
	all.Wait()
	expected := sumOf(t, p, "tether_prompt_tokens_expected_cached_total", list)
	found := sumOf(t, p, "tether_prompt_tokens_found_cached_total", list)
	perToken := p.Metric(t, `tether_model_bytes_per_token{model="tiny"}`)
	t.Logf("%.0f tokens expected, %.0f found (%.1f %%), %.2f bytes a token", expected, found, 100*found/expected, perToken)
	if expected < conversations*(turns-1)*length/2 {
		t.Errorf("%.0f tokens expected, want at least %d", expected, conversations*(turns-1)*length/2)
	}
	if found < 0.95*expected || found > 1.05*expected {
		t.Errorf("%.0f tokens found, want %.0f within 5 %%", found, expected)
	}
	if perToken < 1 || perToken > 2.5 { // the tokens of the model are bytes
		t.Errorf("%.2f bytes a token, want little more than 1", perToken)
	}
	if v := p.Metric(t, `tether_model_cache_shortfall_ratio{model="tiny"}`); v > 0.05 {
		t.Errorf("a shortfall of %v", v)
	}
	if v := p.Metric(t, `tether_model_caches_overrun{model="tiny"}`); v != 0 {
		t.Error("the caches are called overrun")
	}
}

// How fast a server reads depends on the position in the prompt. The test prints the rates. tether learns one that lies among them.
func TestRateByPosition(t *testing.T) {
	list := servers(t)
	p := start(t, list[:1])
	slowest, fastest := 0., 0.
	measure := func(kind string, s streamed) {
		uncached := s.prompt - s.cached
		rate := float64(uncached) / s.first.Seconds()
		t.Logf("%-28s prompt %5d, cached %5d: %6d tokens in %8v: %6.0f tokens/s", kind, s.prompt, s.cached, uncached, s.first.Round(time.Millisecond), rate)
		if slowest == 0 || rate < slowest {
			slowest = rate
		}
		fastest = max(fastest, rate)
	}
	ask := func(messages ...string) streamed {
		t.Helper()
		s, err := stream(t.Context(), p, messages...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	unique := fmt.Sprint(time.Now())
	ask(words("The first request warms the server up, "+unique, 1_000))
	for _, n := range []int{1_000, 2_000, 4_000, 8_000} {
		text := words(fmt.Sprint("Position ", n, unique), n)
		measure("a new prompt", ask(text))
		measure("a thousand tokens after it", ask(text, "I see.", words("Further", 1_000)))
	}
	learned := p.Metric(t, `tether_model_prefill_tokens_per_second{model="tiny"}`)
	t.Logf("learned: %.0f tokens/s", learned)
	if learned < slowest || learned > 2*fastest { // a learned rate leaves out what an answer takes without prefill
		t.Errorf("learned %.0f tokens/s, measured %.0f..%.0f", learned, slowest, fastest)
	}
}
