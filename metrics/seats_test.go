package metrics

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"tether/failure"
	"tether/proxy"
	"tether/session/fates"
	"tether/upstream"
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
	apply(t, r, spec("vllm-0", 9))
	m.Forget(before, r.Table())
	m.Done(&record)
	text := scrape(t, m)
	if strings.Contains(text, "vllm-1") {
		t.Errorf("series of vllm-1 remain:\n%s", text)
	}
	if !strings.Contains(text, `tether_attempts_total{result="answered",upstream="vllm-0"} 1`) {
		t.Errorf("the count of vllm-0 is gone:\n%s", text)
	}
	for i := range m.seats.each {
		if c := m.seats.each[i].Load(); c != nil {
			t.Errorf("the removed %s is still held", c.upstream.Name())
		}
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
		apply(b, r)
		b.StartTimer()
		m.Forget(before, r.Table())
	}
}

// An upstream that takes the seat of another one has counts of its own, also while requests at the removed one end.
func TestNextOnSeat(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	before := r.Table()
	removed := before.Members[0].Upstream
	count := func(u *upstream.Upstream, hit int64) {
		m.Done(&proxy.Record{Upstream: u, Fates: fates.Split{Hit: hit}, Started: time.Now(), Tries: []proxy.Try{{Upstream: u, Failure: failure.Cut}, {Upstream: u}}})
	}
	count(removed, 500)
	apply(t, r, spec("vllm-1", 9))
	next := r.Table().Members[0].Upstream
	if next.Ref().Seat() != removed.Ref().Seat() {
		t.Fatal("it has another seat")
	}
	counted := func(when, name, hit, attempts string) {
		t.Helper()
		t.Log(when)
		want(t, scrape(t, m),
			`tether_prompt_tokens_total{fate="hit",reason="",upstream="`+name+`"} `+hit,
			`tether_attempts_total{result="died",upstream="`+name+`"} `+attempts, `tether_attempts_total{result="answered",upstream="`+name+`"} `+attempts)
	}
	count(next, 7)
	count(removed, 500)
	count(next, 7)
	counted("before Forget", "vllm-0", "500", "1")
	counted("before Forget", "vllm-1", "14", "2")
	m.Forget(before, r.Table())
	count(removed, 500)
	count(next, 7)
	counted("after Forget", "vllm-1", "21", "3")
	if text := scrape(t, m); strings.Contains(text, "vllm-0") {
		t.Errorf("series of vllm-0 remain:\n%s", text)
	}
}

// An upstream that was removed, forgotten, and added again counts anew.
func TestAddedAgain(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	count := func() {
		u := r.Table().Members[0].Upstream
		m.Done(&proxy.Record{Upstream: u, Fates: fates.Split{Hit: 5}, Started: time.Now(), Tries: []proxy.Try{{Upstream: u}}})
	}
	count()
	for range 2 {
		before := r.Table()
		apply(t, r)
		m.Forget(before, r.Table())
		if text := scrape(t, m); strings.Contains(text, `"vllm-0"`) {
			t.Fatalf("series remain:\n%s", text)
		}
		apply(t, r, spec("vllm-0", 9))
		count()
		count()
		want(t, scrape(t, m), `tether_prompt_tokens_total{fate="hit",reason="",upstream="vllm-0"} 10`, `tether_attempts_total{result="answered",upstream="vllm-0"} 2`)
	}
}

// Requests that end while their upstreams are removed leave no series behind.
func TestForgetWhileCounting(t *testing.T) {
	const upstreams, workers = 64, 8
	names := make([]string, upstreams)
	for i := range names {
		names[i] = fmt.Sprint("vllm-", i)
	}
	for range 10 {
		r := fleet(t, names...)
		m := New("v1", r)
		before := r.Table()
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				for n := range upstreams * failure.Count {
					u := before.Members[(n+w)%upstreams].Upstream
					m.Done(&proxy.Record{
						Upstream: u, Fates: fates.Split{Hit: 1}, Started: time.Now(),
						Tries: []proxy.Try{{Upstream: u, Failure: failure.Kind(n / upstreams)}},
					})
				}
			})
		}
		for m.seats.each[0].Load() == nil {
			runtime.Gosched()
		}
		apply(t, r)
		m.Forget(before, r.Table())
		all.Wait()
		if text := scrape(t, m); strings.Contains(text, `"vllm-`) {
			t.Fatalf("series remain:\n%s", text)
		}
	}
}

// The allocator begins counters at a cache line if their size is a whole number of lines.
func TestCountersFillLines(t *testing.T) {
	const line = 64
	if size := unsafe.Sizeof(counters{}); size%line != 0 {
		t.Errorf("%d bytes", size)
	}
}

// Attempts that end alike share their series, whenever they were.
func TestAttemptsShareSeries(t *testing.T) {
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	began := time.Now()
	for range 10 {
		began = began.Add(time.Second)
		m.Done(&proxy.Record{Tries: []proxy.Try{{Upstream: r.Table().Members[0].Upstream, Began: began, Ended: began.Add(time.Second)}}})
	}
	if text := scrape(t, m); !strings.Contains(text, `tether_attempts_total{result="answered",upstream="vllm-0"} 10`) {
		t.Errorf("not all are counted:\n%s", text)
	}
}
