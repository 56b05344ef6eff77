package engines

import (
	"testing"

	"tether/upstream/load"
)

// A page says what it would say alone, whatever the page before it said of the caches.
func TestPagesAfterOneAnother(t *testing.T) {
	const figures = "vllm:num_requests_running{engine=\"0\"} 3.0\nvllm:num_requests_waiting{engine=\"0\"} 2.0\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n"
	info := func(tokens string) string {
		return "vllm:cache_config_info{engine=\"0\",kv_cache_size_tokens=\"" + tokens + "\"} 1.0\n"
	}
	var p Page
	for _, c := range []struct {
		page     string
		capacity int64
		err      error
	}{
		{figures + info("1000"), 1000, nil},
		{info("1000") + figures, 1000, nil},
		{figures + info("2000"), 2000, nil},
		{figures, load.Unknown, nil},
		{figures + info("2000"), 2000, nil},
		{figures + info("many"), 0, ErrAbsurd},
		{figures + info("many"), 0, ErrAbsurd},
		{figures + "vllm:cache_config_info{engine=\n", 0, ErrMalformed},
		{figures + "vllm:cache_config_info{engine=\n", 0, ErrMalformed},
		{figures + info("2000"), 2000, nil},
		{"vllm:num_requests_running{\n" + info("2000"), 0, ErrMalformed},
		{figures + info("2000"), 2000, nil},
	} {
		p.Reset()
		p.Write([]byte(c.page))
		es, err := p.Engines()
		if err != c.err || err == nil && (len(es) != 1 || es[0].KVCapacity != c.capacity || es[0].Running != 3) {
			t.Errorf("%q: %+v, %v", c.page, es, err)
		}
	}
}
