package vllm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tether/e2e/binary"
)

// answer is an answer as its client saw it.
type answer struct {
	first    time.Duration // from the request to the first byte of the body
	status   int
	upstream string
}

// ask sends a chat. The tokenizer of the test's model makes a token of each byte.
func ask(ctx context.Context, url, session, text string, tokens int, stream bool) (a answer, err error) {
	chat := map[string]any{
		"model": "tiny", "max_tokens": tokens, "ignore_eos": true, "stream": stream,
		"messages": []map[string]string{{"role": "user", "content": text}},
	}
	if stream {
		chat["stream_options"] = map[string]bool{"include_usage": true}
	}
	body, err := json.Marshal(chat)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	if session != "" {
		req.Header.Set("X-Session-Id", session)
	}
	began := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	a.status, a.upstream = res.StatusCode, res.Header.Get("X-Tether-Upstream")
	if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
		return a, err
	}
	a.first = time.Since(began)
	_, err = io.Copy(io.Discard, res.Body)
	return a, err
}

// prompt is a text of n bytes that begins like no other of its name.
func prompt(name string, n int) string {
	text := name + ": "
	return text + strings.Repeat("think about it, then go on. ", max(0, n-len(text))/28)
}

// configured runs tether with a configuration in front of servers that are called vllm-0, vllm-1 and so on.
func configured(t *testing.T, list []server, text string) *binary.Tether {
	t.Helper()
	text += "\nproxy: { expose_upstream: true }\nupstreams:\n"
	for i, s := range list {
		text += fmt.Sprintf("  - { name: vllm-%d, url: %q }\n", i, s.url)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, nil, "-c", file)
}

// times are what vLLM itself counts of the requests that it has finished, in seconds.
type times struct{ queued, prefill, decode float64 }

// timesOf returns what the server counts of the request that do makes.
func timesOf(t *testing.T, s server, do func()) times {
	t.Helper()
	sum := func() times {
		return times{
			s.metric(t, "vllm:request_queue_time_seconds_sum"), s.metric(t, "vllm:request_prefill_time_seconds_sum"),
			s.metric(t, "vllm:request_decode_time_seconds_sum"),
		}
	}
	finished := func() float64 { return s.metric(t, "vllm:request_prefill_time_seconds_count") }
	before, n := sum(), finished()
	do()
	for deadline := time.Now().Add(patience); finished() == n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("vLLM never counted the request")
		}
	}
	after := sum()
	return times{after.queued - before.queued, after.prefill - before.prefill, after.decode - before.decode}
}

// Placement takes the first byte of a stream for the end of its prefill, and that of another answer for the end of the whole answer. By vLLM's
// own clocks both are so.
func TestFirstByteEndsPrefill(t *testing.T) {
	s := servers(t)[0]
	p := configured(t, []server{s}, "")
	turn := func(size, tokens int, stream bool) (first float64, took times) {
		text := prompt(fmt.Sprintf("%s with %d at %d", t.Name(), size, time.Now().UnixNano()), size)
		took = timesOf(t, s, func() {
			a, err := ask(t.Context(), p.URL, "", text, tokens, stream)
			if err != nil || a.status != 200 {
				t.Fatalf("%+v, %v", a, err)
			}
			first = a.first.Seconds()
		})
		t.Logf("%d tokens, stream %v: queue %.3f s, prefill %.3f s, decode %.3f s; first byte after %.3f s", size, stream, took.queued, took.prefill, took.decode, first)
		return first, took
	}
	for _, size := range []int{1000, 4000} {
		first, took := turn(size, 100, true)
		if late := first - took.queued - took.prefill; late < -0.02 || late > 0.1+0.1*took.prefill || late > took.decode/2 {
			t.Errorf("the first byte of the stream comes %.3f s after the end of prefill", late)
		}
	}
	if first, took := turn(1000, 100, false); first < took.prefill+0.9*took.decode {
		t.Errorf("the first byte of an answer that is not streamed comes %.3f s before its end", took.prefill+took.decode-first)
	}
}
