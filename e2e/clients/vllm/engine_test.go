package vllm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// tether shows what vLLM says of its engine: the size of the KV cache, and the requests that it computes and has in its queue.
func TestEngineIsShown(t *testing.T) {
	s := servers(t)[0]
	p := configured(t, []server{s}, "")
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	label := regexp.MustCompile(`vllm:cache_config_info\{.*kv_cache_size_tokens="([0-9]+)"`).FindSubmatch(page)
	if label == nil {
		t.Fatalf("vLLM tells no size of its cache:\n%s", page)
	}
	size, err := strconv.ParseFloat(string(label[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	p.Await(t, `tether_upstream_kv_capacity_tokens{upstream="vllm-0"}`, patience, func(v float64) bool { return v == size })

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	const requests = 4
	var all sync.WaitGroup
	defer all.Wait()
	for i := range requests {
		all.Go(func() {
			_, _ = ask(ctx, p.URL, "", prompt(fmt.Sprintf("%s %d at %d", t.Name(), i, time.Now().UnixNano()), 8000), 100, true) // until leave
		})
	}
	shown := func() (running, waiting float64) {
		return p.Metric(t, `tether_upstream_engine_requests_running{upstream="vllm-0"}`), p.Metric(t, `tether_upstream_engine_requests_waiting{upstream="vllm-0"}`)
	}
	said := func() (running, waiting float64) {
		return s.metric(t, "vllm:num_requests_running"), s.metric(t, "vllm:num_requests_waiting")
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		running, waiting := said()
		r, w := shown()
		if running+waiting == requests && waiting > 0 && r == running && w == waiting {
			t.Logf("a KV cache of %.0f tokens; %.0f running and %.0f waiting", size, running, waiting)
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("vLLM has %v running and %v waiting, tether shows %v and %v", running, waiting, r, w)
		}
	}
	leave()
	p.Await(t, `tether_upstream_engine_requests_running{upstream="vllm-0"}`, patience, func(v float64) bool { return v == 0 })
	if v := p.Metric(t, `tether_upstream_kv_usage_ratio{upstream="vllm-0"}`); v < 0 || v > 1 {
		t.Errorf("usage %v", v)
	}
}
