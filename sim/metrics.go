package sim

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"tether/sim/engine"
)

// metrics are those of vLLM's that say how an engine does, in Prometheus' text form, with a series for each rank.
func (a *answer) metrics() {
	var m metricText
	engines := a.srv.memory.Load().ranks.Engines()
	m.model = quote(a.srv.cfg.Models[0])
	load := func(waiting bool) func(e *engine.Engine) float64 {
		return func(e *engine.Engine) float64 {
			r, w := e.Load()
			if waiting {
				return float64(w)
			}
			return float64(r)
		}
	}
	count := func(of func(engine.Stats) uint64) func(e *engine.Engine) float64 {
		return func(e *engine.Engine) float64 { return float64(of(e.Stats())) }
	}
	m.family(engines, "gauge", "num_requests_running", "Number of requests in model execution batches.", load(false))
	m.family(engines, "gauge", "num_requests_waiting", "Number of requests waiting to be processed.", load(true))
	m.family(engines, "gauge", "kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", (*engine.Engine).Usage)
	m.family(engines, "counter", "prefix_cache_queries_total", "Prefix cache queries, in terms of number of queried tokens.",
		count(func(s engine.Stats) uint64 { return s.Queries }))
	m.family(engines, "counter", "prefix_cache_hits_total", "Prefix cache hits, in terms of number of cached tokens.",
		count(func(s engine.Stats) uint64 { return s.Hits }))
	m.family(engines, "counter", "prompt_tokens_total", "Number of prefill tokens processed.",
		count(func(s engine.Stats) uint64 { return s.PromptTokens }))
	m.family(engines, "counter", "generation_tokens_total", "Number of generation tokens processed.",
		count(func(s engine.Stats) uint64 { return s.GeneratedTokens }))
	m.iterations(engines)
	m.requests(engines)
	m.cacheConfig(a.srv.cfg)
	a.send(http.StatusOK, "text/plain; version=1.0.0; charset=utf-8", []byte(m.String()))
}

// metricText collects the lines.
type metricText struct {
	strings.Builder
	model string // quoted
}

func (m *metricText) head(kind, name, help string) {
	fmt.Fprintf(m, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", name, help, name, kind)
}

func (m *metricText) family(engines []*engine.Engine, kind, name, help string, value func(*engine.Engine) float64) {
	m.head(kind, name, help)
	for rank, e := range engines {
		fmt.Fprintf(m, "vllm:%s{engine=\"%d\",model_name=%s} %s\n", name, rank, m.model, pyFloat(value(e)))
	}
}

// iterations is the sign of progress that a prober can look at: a histogram without finer buckets.
func (m *metricText) iterations(engines []*engine.Engine) {
	m.head("histogram", "iteration_tokens_total", "Histogram of number of tokens per engine_step.")
	for rank, e := range engines {
		s := e.Stats()
		labels := fmt.Sprintf("engine=\"%d\",model_name=%s", rank, m.model)
		steps := pyFloat(float64(s.Iterations))
		fmt.Fprintf(m, "vllm:iteration_tokens_total_bucket{engine=\"%d\",le=\"+Inf\",model_name=%s} %s\n", rank, m.model, steps)
		fmt.Fprintf(m, "vllm:iteration_tokens_total_count{%s} %s\n", labels, steps)
		fmt.Fprintf(m, "vllm:iteration_tokens_total_sum{%s} %s\n", labels, pyFloat(float64(s.IterationTokens)))
	}
}

// requests counts by reason. Requests whose client left are in none, as in 0.32.0.
func (m *metricText) requests(engines []*engine.Engine) {
	m.head("counter", "request_success_total", "Count of successfully processed requests.")
	for rank, e := range engines {
		s := e.Stats()
		m.reason(rank, "stop", s.Finished-s.Truncated)
		m.reason(rank, "length", s.Truncated)
		m.reason(rank, "abort", 0)
	}
}

func (m *metricText) reason(rank int, reason string, n uint64) {
	fmt.Fprintf(m, "vllm:request_success_total{engine=\"%d\",finished_reason=\"%s\",model_name=%s} %s\n",
		rank, reason, m.model, pyFloat(float64(n)))
}

func (m *metricText) cacheConfig(cfg Config) {
	m.head("gauge", "cache_config_info", "Information of the LLMEngine CacheConfig")
	for rank := range cfg.Ranks {
		fmt.Fprintf(m, "vllm:cache_config_info{block_size=\"%d\",enable_prefix_caching=\"True\",engine=\"%d\","+
			"kv_cache_size_tokens=\"%d\",num_gpu_blocks=\"%d\"} 1.0\n",
			cfg.BlockSize, rank, cfg.BlockSize*cfg.CacheBlocks, cfg.CacheBlocks)
	}
}

// pyFloat writes a float as Python does: with a point always.
func pyFloat(f float64) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if strings.Contains(text, ".") {
		return text
	}
	return text + ".0"
}
