package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tether/sim/engine"
)

// family is one of vLLM's metrics that say how an engine does.
type family struct {
	kind, name, help string
	samples          func(*engine.Engine) []sample
}

// sample is one line of a family. Its label follows the one that vLLM sorts before it: engine, or model_name.
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
	{"gauge", "num_requests_waiting_by_reason", "Number of waiting requests by reason.", func(e *engine.Engine) []sample {
		_, waiting := e.Load()
		return []sample{{"", `reason="capacity",`, float64(waiting)}, {"", `reason="deferred",`, 0}}
	}},
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

// metrics answers in Prometheus' text form, with a series for each rank. With a slash behind the path, vLLM shows a selection of the series,
// by the parameters name[]. With several ranks it has several processes for its API, and its Prometheus library then shows nothing in a
// selection, and no gauge of an engine that has had no request yet.
func metrics(a *answer) error {
	var b strings.Builder
	selected := func(string) bool { return true }
	contentType := "text/plain; version=1.0.0; charset=utf-8"
	if strings.HasSuffix(a.r.URL.Path, "/") {
		contentType = "text/plain; version=0.0.4; charset=utf-8"
		if names, has := a.r.URL.Query()["name[]"]; has {
			selected = func(name string) bool {
				return a.srv.cfg.Ranks == 1 && (slices.Contains(names, "vllm:"+name) || slices.Contains(names, name))
			}
		}
	}
	cfg, memory := a.srv.cfg, a.srv.memory.Load()
	if selected(startTime) && cfg.Ranks == 1 { // several processes for the API have no start in common
		fmt.Fprintf(&b, "# HELP %[1]s Start time of the process since unix epoch in seconds.\n# TYPE %[1]s gauge\n%[1]s %[2]s\n", startTime, pyFloat(memory.began))
	}
	for _, f := range families {
		writeFamily(&b, f, memory.ranks.Engines(), quote(cfg.Models[0]), selected)
	}
	if selected("cache_config_info") {
		writeCacheInfo(&b, cfg)
	}
	a.send(http.StatusOK, contentType, []byte(b.String()))
	return nil
}

// startTime is a metric of Python's Prometheus client for its own process.
const startTime = "process_start_time_seconds"

// writeFamily writes the selected samples of a family, with a head if there are any.
func writeFamily(b *strings.Builder, f family, engines []*engine.Engine, model string, selected func(name string) bool) {
	headed := false
	for rank, e := range engines {
		if running, waiting := e.Load(); f.kind == "gauge" && len(engines) > 1 && e.Stats().Iterations == 0 && running+waiting == 0 {
			continue
		}
		for _, s := range f.samples(e) {
			if !selected(f.name + s.suffix) {
				continue
			}
			if !headed {
				writeFamilyHead(b, f.kind, f.name, f.help)
				headed = true
			}
			before, after := s.label, ""
			if s.label > "model_name" {
				before, after = "", ","+strings.TrimSuffix(s.label, ",")
			}
			fmt.Fprintf(b, "vllm:%s%s{engine=\"%d\",%smodel_name=%s%s} %s\n", f.name, s.suffix, rank, before, model, after, pyFloat(s.value))
		}
	}
}

// writeCacheInfo writes vLLM 0.32.0's cache_config_info, with the labels of its CPU engine. num_gpu_blocks are those of all ranks together,
// kv_cache_size_tokens those of one.
func writeCacheInfo(b *strings.Builder, cfg Config) {
	writeFamilyHead(b, "gauge", "cache_config_info", "Information of the LLMEngine CacheConfig")
	tokens := cfg.BlockSize * cfg.CacheBlocks
	for rank := range cfg.Ranks {
		fmt.Fprintf(b, `vllm:cache_config_info{_block_size_resolved="True",block_size="%d",cache_dtype="auto",cache_hit_alignment_tokens="None",`+
			`effective_attention_block_size="%[1]d",enable_mamba_shared_prefix_checkpoint="False",enable_prefix_caching="True",engine="%[2]d",`+
			`gpu_memory_utilization="0.92",hash_block_size="None",is_attention_free="False",kv_cache_dtype_skip_layers="[]",kv_cache_layout="None",`+
			`kv_cache_max_concurrency="%[3]s",kv_cache_memory_bytes="1073741824",kv_cache_size_tokens="%[4]d",kv_offloading_backend="native",`+
			`kv_offloading_size="None",kv_sharing_fast_prefill="False",mamba_block_size="None",mamba_cache_dtype="auto",mamba_cache_mode="none",`+
			`mamba_page_size_padded="None",mamba_ssm_cache_dtype="float32",num_cpu_blocks="None",num_gpu_blocks="%[5]d",`+
			`num_gpu_blocks_override="None",prefix_cache_retention_interval="0",prefix_caching_hash_algo="sha256",prefix_match_unit="None",`+
			`replayssm_buffer_len="16",skip_page_size_padded="None",sliding_window="None",swa_bounded_replay="True",use_kda_recoverssm="False",`+
			`use_replayssm="False",user_specified_block_size="True"} 1.0`+"\n",
			cfg.BlockSize, rank, pyFloat(float64(tokens)/float64(cfg.MaxModelLen)), tokens, cfg.CacheBlocks*cfg.Ranks)
	}
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
