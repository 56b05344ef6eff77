package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tether/sim"
	"tether/upstream"
	"tether/upstream/load"
)

// Every API teaches how many bytes make a token, and every stream of an idle server how fast it reads. The events that come before a
// server has read the prompt do not count.
func TestAnswersTeach(t *testing.T) {
	for path, body := range map[string]string{
		chatPath:          `{"model":"tiny","max_tokens":3,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"%s"}]}`,
		"/v1/messages":    `{"model":"tiny","max_tokens":3,"stream":true,"messages":[{"role":"user","content":"%s"}]}`,
		"/v1/responses":   `{"model":"tiny","max_output_tokens":3,"stream":true,"input":"%s"}`,
		"/v1/completions": `{"model":"tiny","max_tokens":3,"stream":true,"stream_options":{"include_usage":true},"prompt":"%s"}`,
	} {
		r := fleet(t, 1, sim.Config{PrefillPerToken: 100 * time.Microsecond})
		r.up(0).SetModels(list(`{"id":"tiny"}`))
		bytes, tokens := 0, 0
		for n := range 12 {
			prompt := fmt.Sprint(n, " ", strings.Repeat("All work and no play makes Jack a dull boy. ", 100))
			sent := fmt.Sprintf(body, prompt)
			if a := r.do("POST", path, sent); a.StatusCode != 200 {
				t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
			}
			bytes, tokens = len(sent), r.last().PromptTokens
		}
		m := r.prefill.Of([]byte("tiny"))
		if m == r.prefill.Of(nil) {
			t.Fatalf("%s: the served model has no figures of its own", path)
		}
		truth := float64(bytes) / float64(tokens)
		if got := m.BytesPerToken(); truth < 3 && got > 3.2 || truth > 5 && got < 4.8 {
			t.Errorf("%s: %.2f bytes a token, of prompts with %.2f", path, got, truth)
		}
		// The answers of a test come so fast that each moves the rate by little.
		if got := m.Rate(); got > 31_000 || got < 5_000 {
			t.Errorf("%s: %.0f tokens/s, of a server with 10000", path, got)
		}
	}
}

// Answers without usage teach the rate too, if they begin a session: its prompt is in no cache. The turns that follow teach nothing.
func TestNewSessionsTeachTheRate(t *testing.T) {
	r := fleet(t, 1, sim.Config{PrefillPerToken: 100 * time.Microsecond})
	r.up(0).SetModels(list(`{"id":"tiny"}`))
	turn := func(session, prompt int) {
		text := fmt.Sprint(prompt, " ", strings.Repeat("All work and no play makes Jack a dull boy. ", 100))
		body := fmt.Sprintf(`{"model":"tiny","max_tokens":3,"stream":true,"messages":[{"role":"user","content":"%s"}]}`, text)
		if a := r.do("POST", chatPath, body, fmt.Sprint("X-Session-Id: ", session)); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		if rec := r.last(); rec.PromptTokens > 0 || rec.CachedTokens >= 0 {
			t.Fatalf("the answer says %d tokens, %d cached", rec.PromptTokens, rec.CachedTokens)
		}
	}
	for n := range 12 {
		turn(n, n)
	}
	m := r.prefill.Of([]byte("tiny"))
	got := m.Rate()
	if got > 31_000 || got < 5_000 {
		t.Errorf("%.0f tokens/s, of a server with about 10000", got)
	}
	for n := range 5 {
		turn(0, 100+n)
	}
	if after := m.Rate(); after != got {
		t.Errorf("%.0f tokens/s after turns of a session that the server knows, %.0f before", after, got)
	}
}

// Errors, models that no server lists, and servers that are busy teach nothing about the rate.
func TestWhatTeachesNothing(t *testing.T) {
	r := fleet(t, 1, sim.Config{PrefillPerToken: 100 * time.Microsecond})
	prompt := strings.Repeat("All work and no play makes Jack a dull boy. ", 100)
	stream := `{"model":"tiny","max_tokens":3,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"%d %s"}]}`
	common := r.prefill.Of(nil)
	other := load.Charge{Work: 1_000, Streams: true, Rate: 1, Patience: time.Hour} // another prompt is computed
	r.up(0).Charge(&other, time.Now())
	for n := range 5 {
		r.do("POST", chatPath, fmt.Sprintf(stream, n, prompt))
	}
	r.last()
	other.Settle(time.Now())
	if got := common.Rate(); got != 32_000 {
		t.Errorf("%.0f tokens/s, learned from a busy server", got)
	}
	for n := range 5 {
		r.do("POST", chatPath, fmt.Sprintf(`{"model":"tiny","max_tokens":3,"messages":[{"role":"user","content":"%d %s"}]}`, 10+n, prompt))
	}
	if got := common.Rate(); got != 32_000 {
		t.Errorf("%.0f tokens/s, learned from answers that did not stream", got)
	}
	r.last()
	if r.prefill.Has([]byte("tiny")) {
		t.Error("a model that no server lists has figures of its own")
	}
	before := common.BytesPerToken()
	if before == 4 {
		t.Error("models without an entry taught nothing")
	}
	if a := r.do("POST", chatPath, `{"model":"none","messages":[{"role":"user","content":"`+prompt+`"}]}`); a.StatusCode != 404 {
		t.Fatalf("%d for an unknown model", a.StatusCode)
	}
	_, id := r.respond(false, "")
	r.last() // waits until the answer has taught
	after := common.BytesPerToken()
	if _, next := r.respond(false, id); next == "" {
		t.Fatal("no response follows the response")
	}
	r.last()
	if got := common.BytesPerToken(); got != after {
		t.Errorf("%v bytes a token after a body without its history, %v before", got, after)
	}
}

// The last prompt of a session is expected at the server that had it, in the turns that follow there.
func TestExpectedTokens(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	prompt := strings.Repeat("All work and no play makes Jack a dull boy. ", 60)
	before := 0
	for turn := range 3 {
		r.chat(fmt.Sprint(prompt, turn), "X-Session-Id: s")
		rec := r.last()
		if rec.PromptTokens < 500 || rec.ExpectedTokens != min(before, rec.PromptTokens) {
			t.Errorf("turn %d: %d of %d tokens expected, want %d", turn, rec.ExpectedTokens, rec.PromptTokens, before)
		}
		before = rec.PromptTokens
	}
	r.last().Upstream.SetHealth(upstream.Down, "test")
	if r.chat(prompt, "X-Session-Id: s"); r.last().ExpectedTokens != 0 {
		t.Errorf("%d tokens expected at another server", r.last().ExpectedTokens)
	}
	if r.chat(prompt, "X-Tether-Affinity: off"); r.last().ExpectedTokens != 0 {
		t.Errorf("%d tokens expected without a session", r.last().ExpectedTokens)
	}
}

// A look at a stored response is no turn, though its answer has the usage of one.
func TestLookingUpIsNoTurn(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	_, id := r.respond(false, "", "X-Session-Id: s")
	for range 3 {
		if a := r.do("GET", "/v1/responses/"+id, "", "X-Session-Id: s"); a.StatusCode != 200 {
			t.Fatal(a.StatusCode)
		}
		if rec := r.last(); rec.ExpectedTokens != 0 || rec.PromptTokens <= 0 {
			t.Errorf("%d tokens expected, %d in the answer", rec.ExpectedTokens, rec.PromptTokens)
		}
	}
}

// Turns whose id tether drew are no conversations: each has another id.
func TestDrawnIDsAreNotWarm(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	r.up(0).SetModels(list(`{"id":"tiny"}`))
	_, id := r.respond(false, "")
	for range 5 {
		_, id = r.respond(false, id)
	}
	warm := func() int64 {
		r.last()
		report, _ := r.prefill.Of([]byte("tiny")).Caches.Look(0, time.Now())
		return report.Warm
	}
	first := warm()
	for range 5 {
		_, id = r.respond(false, id)
	}
	if after := warm(); id == "" || after != first {
		t.Errorf("%d tokens warm after a chain of responses, %d after more of them", after, first)
	}
}
