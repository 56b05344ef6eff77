package vllm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
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

// Each data-parallel rank of a server has an engine, and vLLM's numbers of the engines are those of the ranks.
func TestEnginesOfOneServer(t *testing.T) {
	list := listed()
	ranks, err := strconv.Atoi(os.Getenv("VLLM_RANKS"))
	if err != nil || ranks < 2 || len(list) == 0 {
		t.Skip("no vLLM server with data-parallel ranks: make test-vllm-ranks starts one")
	}
	p := ranked(t, list[:1], ranks)
	for rank := range ranks {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		body := fmt.Sprintf(`{"model":"tiny","max_tokens":5000,"ignore_eos":true,"prompt":"%s of rank %d at %d"}`, t.Name(), rank, time.Now().UnixNano())
		req, err := http.NewRequestWithContext(ctx, "POST", list[0].url+"/v1/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-data-parallel-rank", strconv.Itoa(rank))
		ended := make(chan error, 1)
		go func() {
			res, err := http.DefaultClient.Do(req)
			if err == nil {
				res.Body.Close()
			}
			ended <- err
		}()
		running := func(rank int) string {
			return fmt.Sprintf(`tether_upstream_engine_requests_running{upstream="vllm-0@%d"}`, rank)
		}
		p.Await(t, running(rank), patience, func(v float64) bool { return v == 1 })
		for other := range ranks {
			size := p.Metric(t, fmt.Sprintf(`tether_upstream_kv_capacity_tokens{upstream="vllm-0@%d"}`, other))
			n := p.Metric(t, running(other))
			t.Logf("request on rank %d: rank %d has %.0f running, and a KV cache of %.0f tokens", rank, other, n, size)
			if other != rank && n != 0 || size < 1000 {
				t.Errorf("rank %d: %v running, KV cache of %v tokens", other, n, size)
			}
		}
		leave()
		<-ended
		p.Await(t, running(rank), patience, func(v float64) bool { return v == 0 })
	}
}
