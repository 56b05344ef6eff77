package sim

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"tether/sim/engine"
)

// family is one of vLLM's metrics that say how an engine does.
type family struct {
	kind, name, help string
	samples          func(*engine.Engine) []sample
}

// sample is one line of a family. Its label goes where Prometheus sorts it: after engine, before model_name.
type sample struct {
	suffix, label string
	value         float64
}

var families = []family{
	{"gauge", "num_requests_running", "Number of requests in model execution batches.", one(func(e *engine.Engine) float64 {
		running, _ := e.Load()
		return float64(running)
	})},
	{"gauge", "num_requests_waiting", "Number of requests waiting to be processed.", one(func(e *engine.Engine) float64 {
		_, waiting := e.Load()
		return float64(waiting)
	})},
	{"gauge", "kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", one((*engine.Engine).Usage)},
	{
		"counter", "prefix_cache_queries_total", "Prefix cache queries, in terms of number of queried tokens.",
		counter(func(s engine.Stats) uint64 { return s.Queries }),
	},
	{
		"counter", "prefix_cache_hits_total", "Prefix cache hits, in terms of number of cached tokens.",
		counter(func(s engine.Stats) uint64 { return s.Hits }),
	},
	{"counter", "prompt_tokens_total", "Number of prefill tokens processed.", counter(func(s engine.Stats) uint64 { return s.PromptTokens })},
	{"counter", "generation_tokens_total", "Number of generation tokens processed.", counter(func(s engine.Stats) uint64 { return s.GeneratedTokens })},
	// The sign of progress that a prober can watch. The histogram has no finer buckets.
	{"histogram", "iteration_tokens_total", "Histogram of number of tokens per engine_step.", func(e *engine.Engine) []sample {
		s := e.Stats()
		steps := float64(s.Iterations)
		return []sample{{"_bucket", `le="+Inf",`, steps}, {"_count", "", steps}, {"_sum", "", float64(s.IterationTokens)}}
	}},
	// vLLM 0.32.0 counts requests whose client left under no reason, "abort" included.
	{"counter", "request_success_total", "Count of successfully processed requests.", func(e *engine.Engine) []sample {
		s := e.Stats()
		return []sample{
			{"", `finished_reason="stop",`, float64(s.Finished - s.Truncated)},
			{"", `finished_reason="length",`, float64(s.Truncated)},
			{"", `finished_reason="abort",`, 0},
		}
	}},
}

func one(value func(*engine.Engine) float64) func(*engine.Engine) []sample {
	return func(e *engine.Engine) []sample { return []sample{{value: value(e)}} }
}

func counter(value func(engine.Stats) uint64) func(*engine.Engine) []sample {
	return one(func(e *engine.Engine) float64 { return float64(value(e.Stats())) })
}

// metrics answers in Prometheus' text form, with a series for each rank.
func metrics(a *answer) error {
	var b strings.Builder
	cfg, model := a.srv.cfg, quote(a.srv.cfg.Models[0])
	engines := a.srv.memory.Load().ranks.Engines()
	for _, f := range families {
		writeFamilyHead(&b, f.kind, f.name, f.help)
		for rank, e := range engines {
			for _, s := range f.samples(e) {
				fmt.Fprintf(&b, "vllm:%s%s{engine=\"%d\",%smodel_name=%s} %s\n", f.name, s.suffix, rank, s.label, model, pyFloat(s.value))
			}
		}
	}
	writeFamilyHead(&b, "gauge", "cache_config_info", "Information of the LLMEngine CacheConfig")
	for rank := range cfg.Ranks {
		fmt.Fprintf(&b, "vllm:cache_config_info{block_size=\"%d\",enable_prefix_caching=\"True\",engine=\"%d\","+
			"kv_cache_size_tokens=\"%d\",num_gpu_blocks=\"%d\"} 1.0\n",
			cfg.BlockSize, rank, cfg.BlockSize*cfg.CacheBlocks, cfg.CacheBlocks)
	}
	a.send(http.StatusOK, "text/plain; version=1.0.0; charset=utf-8", []byte(b.String()))
	return nil
}

func writeFamilyHead(b *strings.Builder, kind, name, help string) {
	fmt.Fprintf(b, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", name, help, name, kind)
}

// pyFloat writes a float as Python does: always with a point.
func pyFloat(f float64) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if strings.Contains(text, ".") {
		return text
	}
	return text + ".0"
}
