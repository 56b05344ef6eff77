package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/config"
	"tether/sim"
)

// do sends a request and returns its answer with the body.
func (s *running) do(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(s.request(method, path, body, headers...))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(text)
}

// awaitText reads a page of the admin listener until it has all the lines.
func (s *running) awaitText(path string, lines ...string) {
	s.t.Helper()
	text := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		text = s.text(path)
		missing := false
		for _, line := range lines {
			missing = missing || !strings.Contains(text, line)
		}
		if !missing {
			return
		}
	}
	s.t.Fatalf("%s never had all of %q\n%s", path, lines, text)
}

// burden gives a server n long requests that tether knows nothing of, until ctx ends.
func burden(ctx context.Context, t *testing.T, s *sim.Server, n int) {
	t.Helper()
	long := `{"prompt":[` + strings.Repeat("1,", 5000) + `1],"max_tokens":1}`
	for range n {
		go func() {
			req, _ := http.NewRequestWithContext(ctx, "POST", s.URL()+"/v1/completions", strings.NewReader(long))
			req.Header.Set("Content-Type", "application/json")
			req.Close = true
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
		}()
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.Await(wait, func(l sim.Load) bool { return l.Running == 1 && l.Waiting == n-1 }); err != nil {
		t.Fatal(err)
	}
}

// While all servers say that many requests are in their queues, new conversations are refused in the form of their API and pinned ones are
// served. That ends with the load. Operators see the load all the time.
func TestShedUnderLoad(t *testing.T) {
	sims, urls := startSims(t, 2, sim.Config{MaxSeqs: 1, BlockSize: 16, CacheBlocks: 1000, PrefillPerToken: 5 * time.Millisecond})
	s := startTether(t, func(c *config.Config) {
		c.Session.Routing.Shed.Waiting = 1
		for i := range c.Upstreams {
			c.Upstreams[i].Name = fmt.Sprintf("vllm-%d", i)
		}
	}, urls...)
	s.await(0, "up")
	s.await(1, "up")
	const chats = "/v1/chat/completions"
	if res, text := s.do("POST", chats, hello, "X-Session-Id", "old"); res.StatusCode != 200 {
		t.Fatalf("%d: %s", res.StatusCode, text)
	}
	s.awaitText("/metrics", `tether_upstream_kv_capacity_tokens{upstream="vllm-0"} 16000`, `tether_upstream_engine_requests_waiting{upstream="vllm-1"} 0`)

	ctx, end := context.WithCancel(t.Context())
	defer end()
	burden(ctx, t, sims[0], 3)
	burden(ctx, t, sims[1], 3)
	s.awaitText("/metrics", `tether_upstream_engine_requests_waiting{upstream="vllm-0"} 2`, `tether_upstream_engine_requests_running{upstream="vllm-1"} 1`, `tether_upstream_engine_requests_waiting{upstream="vllm-1"} 2`, `tether_upstream_kv_usage_ratio{upstream="vllm-1"} 0.31`)
	s.awaitText("/api/upstreams", `"kv_usage":0.31`)
	for path, want := range map[string]string{
		chats:          `{"error":{"message":"The model servers are busy, and take no new conversations for now.","type":"overloaded_error","param":null,"code":503}}`,
		"/v1/messages": `{"type":"error","error":{"type":"overloaded_error","message":"The model servers are busy, and take no new conversations for now."}}`,
	} {
		res, text := s.do("POST", path, `{"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"hello"}]}`, "X-Session-Id", "new")
		if res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || text != want {
			t.Errorf("%s: %d, Retry-After %q, %s", path, res.StatusCode, res.Header.Get("Retry-After"), text)
		}
	}
	s.awaitText("/metrics", `tether_request_failures_total{reason="shed"} 2`)
	lines := s.logs.access.all(t)
	if len(lines) != 2 {
		t.Errorf("%d lines of the access log", len(lines))
	}
	for _, line := range lines {
		if line["status"] != 503.0 || line["reason"] != "shed" || line["outcome"] != "none" {
			t.Errorf("access log: %v", line)
		}
	}

	served := make(chan string, 1)
	pinned := s.request("POST", chats, hello, "X-Session-Id", "old")
	pinned.Close = true
	go func() {
		res, err := http.DefaultClient.Do(pinned)
		if err != nil {
			served <- err.Error()
			return
		}
		res.Body.Close()
		served <- res.Status + " " + res.Header.Get("X-Tether-Affinity")
	}()
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, u := range s.upstreams() {
		if u.Pins > 0 {
			at := sims[map[string]int{"vllm-0": 0, "vllm-1": 1}[u.Name]]
			if err := at.Await(wait, func(l sim.Load) bool { return l.Waiting == 3 }); err != nil {
				t.Error("the pinned conversation is not served")
			}
		}
	}
	end()
	if got := <-served; got != "200 OK pinned" {
		t.Error(got)
	}
	s.awaitText("/metrics", `tether_upstream_engine_requests_waiting{upstream="vllm-0"} 0`, `tether_upstream_engine_requests_waiting{upstream="vllm-1"} 0`)
	if res, text := s.do("POST", chats, hello, "X-Session-Id", "new"); res.StatusCode != 200 || res.Header.Get("X-Tether-Affinity") != "new" {
		t.Errorf("after the load: %d, %s", res.StatusCode, text)
	}
}
