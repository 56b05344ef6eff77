package engines

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"tether/upstream/load"
)

// readPage reads a page that arrives in pieces of size bytes.
func readPage(page string, size int) (Engines, error) {
	var p Page
	for len(page) > 0 {
		n := min(size, len(page))
		p.Write([]byte(page[:n]))
		page = page[n:]
	}
	return p.Engines()
}

func engine(running, waiting int64, usage float64, capacity int64) load.EngineLoad {
	return load.EngineLoad{Running: running, Waiting: waiting, KVUsage: usage, KVCapacity: capacity}
}

// blocks is l with the size of a block.
func blocks(size int64, l load.EngineLoad) load.EngineLoad {
	l.KVBlock = size
	return l
}

// dated is l with the start of the process that the page of the test names.
func dated(l load.EngineLoad) load.EngineLoad {
	l.Began = 1.7958776172346807e+09
	return l
}

func TestPages(t *testing.T) {
	const (
		rank0 = "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3.0\nvllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2.0\n" +
			"vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.25\n"
		rank1 = "vllm:num_requests_running{engine=\"1\",model_name=\"m\"} 1.0\nvllm:num_requests_waiting{engine=\"1\",model_name=\"m\"} 0.0\n" +
			"vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"m\"} 0.75\n"
	)
	info := func(labels string) string { return "vllm:cache_config_info{" + labels + "} 1.0\n" }
	none := load.EngineLoad{Running: load.Unknown, Waiting: load.Unknown, KVUsage: load.Unknown, KVCapacity: load.Unknown}
	for _, c := range []struct {
		name, page string
		want       []load.EngineLoad
		together   load.EngineLoad
	}{
		{"no cache info", rank0, []load.EngineLoad{engine(3, 2, 0.25, load.Unknown)}, engine(3, 2, 0.25, load.Unknown)},
		{
			"size in tokens", rank0 + info(`block_size="16",engine="0",kv_cache_size_tokens="5000",num_gpu_blocks="999"`),
			[]load.EngineLoad{blocks(16, engine(3, 2, 0.25, 5000))},
			blocks(16, engine(3, 2, 0.25, 5000)),
		},
		{
			"blocks", rank0 + info(`block_size="16",engine="0",kv_cache_size_tokens="None",num_gpu_blocks="100"`),
			[]load.EngineLoad{blocks(16, engine(3, 2, 0.25, 1600))},
			blocks(16, engine(3, 2, 0.25, 1600)),
		},
		{
			"a model without a KV cache", rank0 + info(`block_size="16",engine="0",kv_cache_size_tokens="None",num_gpu_blocks="None"`),
			[]load.EngineLoad{blocks(16, engine(3, 2, 0.25, load.Unknown))},
			blocks(16, engine(3, 2, 0.25, load.Unknown)),
		},
		{
			"two ranks, whose blocks vLLM adds up", rank0 + rank1 + info(`block_size="16",engine="0",num_gpu_blocks="100"`) + info(`block_size="16",engine="1",num_gpu_blocks="100"`),
			[]load.EngineLoad{blocks(16, engine(3, 2, 0.25, 800)), blocks(16, engine(1, 0, 0.75, 800))},
			blocks(16, engine(4, 2, 0.5, 1600)),
		},
		{
			"two ranks with their sizes in tokens", info(`engine="1",kv_cache_size_tokens="800"`) + info(`engine="0",kv_cache_size_tokens="800"`) + rank1 + rank0,
			[]load.EngineLoad{engine(3, 2, 0.25, 800), engine(1, 0, 0.75, 800)},
			engine(4, 2, 0.5, 1600),
		},
		{
			"a rank that says less", rank0 + "vllm:num_requests_running{engine=\"1\"} 1\n",
			[]load.EngineLoad{engine(3, 2, 0.25, load.Unknown), engine(1, load.Unknown, load.Unknown, load.Unknown)},
			engine(4, load.Unknown, load.Unknown, load.Unknown),
		},
		{
			"numbers that do not begin with 0", strings.ReplaceAll(rank0, `"0"`, `"10"`) + strings.ReplaceAll(rank1, `"1"`, `"9"`) + info(`engine="10",kv_cache_size_tokens="800"`) + info(`engine="9",kv_cache_size_tokens="800"`),
			[]load.EngineLoad{engine(1, 0, 0.75, 800), engine(3, 2, 0.25, 800)},
			engine(4, 2, 0.5, 1600),
		},
		{
			"an engine that has had no request yet", rank1 + info(`engine="1",kv_cache_size_tokens="800"`) + info(`engine="0",kv_cache_size_tokens="800"`),
			[]load.EngineLoad{engine(load.Unknown, load.Unknown, load.Unknown, 800), engine(1, 0, 0.75, 800)},
			engine(1, 0, 0.375, 1600),
		},
		{
			"an engine that is not listed, and has had no request yet", rank1,
			[]load.EngineLoad{none, engine(1, 0, 0.75, load.Unknown)},
			engine(1, 0, 0.375, load.Unknown),
		},
		{
			"no engine has had a request yet", info(`engine="0",kv_cache_size_tokens="800"`), []load.EngineLoad{engine(load.Unknown, load.Unknown, load.Unknown, 800)}, engine(load.Unknown, load.Unknown, load.Unknown, 800),
		},
		{
			"an older version, without a label for the engine", "vllm:num_requests_running{model_name=\"m\"} 3\nvllm:gpu_cache_usage_perc{model_name=\"m\"} 0.5\n" + info(`block_size="16",num_gpu_blocks="10"`),
			[]load.EngineLoad{blocks(16, engine(3, load.Unknown, 0.5, 160))},
			blocks(16, engine(3, load.Unknown, 0.5, 160)),
		},
		{
			"the start of the process, for all its engines", rank0 + rank1 + "process_start_time_seconds 1.7958776172346807e+09\n",
			[]load.EngineLoad{dated(engine(3, 2, 0.25, load.Unknown)), dated(engine(1, 0, 0.75, load.Unknown))},
			dated(engine(4, 2, 0.5, load.Unknown)),
		},
		{
			"the new name comes before the older one", "vllm:gpu_cache_usage_perc 0.5\nvllm:kv_cache_usage_perc 0.25\n",
			[]load.EngineLoad{engine(load.Unknown, load.Unknown, 0.25, load.Unknown)},
			engine(load.Unknown, load.Unknown, 0.25, load.Unknown),
		},
		{
			"other lines", "# HELP vllm:num_requests_running vllm:num_requests_running 7\n# TYPE vllm:num_requests_running gauge\n\r\n\n<html>\nvllm:num_requests_waiting_by_reason{reason=\"x\"} 9\nvllm:num_requests_running_total 8\n" +
				strings.Repeat("vllm:x", maxLine) + "\n" + rank0 + "x",
			[]load.EngineLoad{engine(3, 2, 0.25, load.Unknown)},
			engine(3, 2, 0.25, load.Unknown),
		},
	} {
		for _, size := range []int{1, 7, len(c.page)} {
			got, err := readPage(c.page, size)
			var want error
			for _, l := range c.want {
				if known := min(l.Running, 0) + min(l.Waiting, 0) + int64(min(l.KVUsage, 0)); known != 0 && known != -3 {
					want = ErrIncomplete
				}
			}
			if err != want || fmt.Sprint(got) != fmt.Sprint(Engines(c.want)) {
				t.Fatalf("%s, pieces of %d: %v, %v, want %v", c.name, size, got, err, c.want)
			}
			for rank, want := range c.want {
				if got.Of(rank) != want {
					t.Errorf("%s: rank %d: %+v", c.name, rank, got.Of(rank))
				}
			}
			if got.Of(-1) != c.together || got.Of(len(c.want)) != none {
				t.Errorf("%s: together %+v, beyond %+v", c.name, got.Of(-1), got.Of(len(c.want)))
			}
		}
	}
}

// A page that is foreign, broken, too large or that lies has no figures at all.
func TestBadPages(t *testing.T) {
	const good = "vllm:num_requests_running{engine=\"0\"} 3.0\n"
	value := func(name, value string) string { return good + name + `{engine="0"} ` + value + "\n" }
	for _, c := range []struct {
		page string
		want error
	}{
		{"", ErrForeign},
		{"<html>\n", ErrForeign},
		{"go_goroutines 7\n", ErrForeign},
		{"sglang:num_running_reqs 7\n", ErrForeign},
		{"vllm:requests_running 7\n", ErrForeign},
		{good + "vllm:num_requests_waiting{engine=\"0\"} 1", ErrMalformed}, // may be the beginning of 100
		{good + "vllm:num_requests_waiting{engine=\"0\"\n", ErrMalformed},
		{value(waiting, "many"), ErrMalformed},
		{value(waiting, ""), ErrMalformed},
		{good + "vllm:num_requests_waiting{engine=\"0\xff\"} 1\n", ErrMalformed},
		{value(waiting, "NaN"), ErrAbsurd},
		{value(waiting, "+Inf"), ErrAbsurd},
		{value(waiting, "-1"), ErrAbsurd},
		{value(waiting, "1e300"), ErrAbsurd},
		{value(waiting, "0.5"), ErrAbsurd},
		{value(kvUsage, "NaN"), ErrAbsurd},
		{value(kvUsage, "-0.1"), ErrAbsurd},
		{value(kvUsage, "1.1"), ErrAbsurd},
		{value(olderUsage, "90"), ErrAbsurd},
		{good + "process_start_time_seconds 0\n", ErrAbsurd},
		{good + "process_start_time_seconds NaN\n", ErrAbsurd},
		{good + "process_start_time_seconds 1e12\n", ErrAbsurd},
		{"process_start_time_seconds 1.7e9\n", ErrForeign},
		{"vllm:num_requests_running{engine=\"-1\"} 3.0\n", ErrAbsurd},
		{"vllm:num_requests_running{engine=\"a\"} 3.0\n", ErrAbsurd},
		{"vllm:num_requests_running{engine=\"4096\"} 3.0\n", ErrAbsurd},
		{good + "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"-3\"} 1\n", ErrAbsurd},
		{good + "vllm:cache_config_info{block_size=\"x\",num_gpu_blocks=\"3\"} 1\n", ErrAbsurd},
		{good + "vllm:cache_config_info{block_size=\"1000000000000\",num_gpu_blocks=\"1000000000000\"} 1\n", ErrAbsurd},
		{good + "vllm:cache_config_info{kv_cache_size_tokens=\"1000000000001\"} 1\n", ErrAbsurd},
		{good + "vllm:cache_config_info{kv_cache_size_tokens=\"99999999999999999999\"} 1\n", ErrAbsurd},
		{good + "vllm:num_requests_running{x=\"" + strings.Repeat("y", maxLine) + "\"} 1\n", ErrTooLarge},
		{strings.Repeat("vllm:num_requests_running{engine=\"7\"} 1\n", maxKept/30), ErrTooLarge},
	} {
		for _, size := range []int{1000, len(c.page) + 1} {
			if got, err := readPage(c.page, size); !errors.Is(err, c.want) || got != nil {
				t.Errorf("%.80q: %v, %v, want %v", c.page, got, err, c.want)
			}
		}
	}
}

// A page of vLLM 0.32.0 on a CPU while it computed one of eight long prompts, shortened by other metrics.
func TestRealPage(t *testing.T) {
	page := realPage(t)
	es, err := readPage(page, 4096)
	if err != nil || len(es) != 1 {
		t.Fatalf("%v, %v", es, err)
	}
	if got, want := es[0], blocks(32, engine(1, 7, 0.017580807618350014, 349504)); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Whatever a page has, its reader neither panics nor keeps more than its limit, and every figure that it finds can be.
func FuzzPage(f *testing.F) {
	f.Add("vllm:num_requests_running{engine=\"0\"} 3.0\n", 1)
	f.Add(realPage(f), 100)
	f.Fuzz(func(t *testing.T, page string, size int) {
		size = 1 + max(size, -size, 0)%5000
		es, err := readPage(page, size)
		if whole, errWhole := readPage(page, len(page)+1); err != errWhole || fmt.Sprint(es) != fmt.Sprint(whole) {
			t.Fatalf("pieces: %v, %v; whole: %v, %v", es, err, whole, errWhole)
		}
		if es == nil {
			return
		}
		for _, l := range append(es, es.Of(-1)) {
			if l.Running < load.Unknown || l.Waiting < load.Unknown || l.KVCapacity < load.Unknown || l.KVCapacity == 0 || !(l.KVUsage == load.Unknown || l.KVUsage >= 0 && l.KVUsage <= 1.001) {
				t.Errorf("%+v", l)
			}
		}
	})
}

func realPage(t testing.TB) string {
	t.Helper()
	page, err := os.ReadFile("testdata/vllm-0.32-cpu.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// BenchmarkPage reads a page of 50 KB, as vLLM 0.32 has it for one engine, and the selection that vLLM sends when it is asked for one.
func BenchmarkPage(b *testing.B) {
	whole := realPage(b)
	for len(whole) < 50_000 {
		whole += "vllm:request_prefill_time_seconds_bucket{engine=\"0\",le=\"120.0\",model_name=\"tiny\"} 1.0\n"
	}
	selection := ""
	for line := range strings.Lines(whole) {
		if mayBeWanted([]byte(line)) {
			selection += line
		}
	}
	for _, c := range []struct{ name, page string }{{"whole", whole}, {"selection", selection}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.page)))
			b.ReportAllocs()
			var p Page
			for b.Loop() {
				p.Reset()
				for page := []byte(c.page); len(page) > 0; page = page[min(len(page), 16<<10):] {
					p.Write(page[:min(len(page), 16<<10)])
				}
				if _, err := p.Engines(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
