package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tether/failure"
	"tether/proxy"
	"tether/upstream"
	"tether/upstream/transport"
)

// Forget deletes the series of a removed upstream, and a request that ends later does not recreate them. An upstream that another
// one of its name replaced keeps its counts, and is no longer held.
func TestForget(t *testing.T) {
	r := fleet(t, "vllm-0", "vllm-1")
	m := New("v1", r)
	before := r.Table()
	replaced, gone := before.Members[0].Upstream, before.Members[1].Upstream
	m.Done(&proxy.Record{Tries: []proxy.Try{{Upstream: replaced, Failure: failure.None}}})
	record := proxy.Record{Tries: []proxy.Try{{Upstream: gone, Failure: failure.None}}}
	m.Done(&record)
	m.Probed(gone.Server, "succeeded")
	m.Probed(gone.Server, "timed_out")
	if _, err := r.Apply([]upstream.Spec{{Name: "vllm-0", Address: transport.Address{Network: "tcp", Dial: "127.0.0.1:9"}, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	m.Forget(before, r.Table())
	m.Done(&record)
	text := scrape(t, m)
	if strings.Contains(text, "vllm-1") {
		t.Errorf("series of vllm-1 remain:\n%s", text)
	}
	if !strings.Contains(text, `tether_attempts_total{result="answered",upstream="vllm-0"} 1`) {
		t.Errorf("the count of vllm-0 is gone:\n%s", text)
	}
	for end := range m.attempts.byEnd.series.Load().all {
		t.Errorf("the removed %s is still held", end.at.Name())
	}
}

// BenchmarkForget: 4,096 upstreams leave at once.
func BenchmarkForget(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		names := make([]string, upstream.MaxUpstreams)
		for i := range names {
			names[i] = fmt.Sprint("vllm-", i)
		}
		r := fleet(b, names...)
		m := New("v1", r)
		before := r.Table()
		for _, one := range before.Members {
			for k := range failure.Kind(failure.Count) {
				m.Probed(one.Server, k.ProbeWord())
			}
		}
		if _, err := r.Apply(nil); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		m.Forget(before, r.Table())
	}
}

// Attempts that end alike share their series, and its place in the cache, whenever they were.
func TestAttemptsShareSeries(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	began := time.Now()
	for range 10 {
		began = began.Add(time.Second)
		m.Done(&proxy.Record{Tries: []proxy.Try{{Upstream: r.Table().Members[0].Upstream, Began: began, Ended: began.Add(time.Second)}}})
	}
	if n := len(m.attempts.byEnd.series.Load().all); n != 1 {
		t.Errorf("%d series for one end of attempts", n)
	}
	if text := scrape(t, m); !strings.Contains(text, `tether_attempts_total{result="answered",upstream="vllm-0"} 10`) {
		t.Errorf("not all are counted:\n%s", text)
	}
}
