package clients

import (
	"fmt"
	"sync"
	"testing"

	"tether/sim"
)

// servers starts n simulated vLLM servers. seen is called with every request that they receive, unless it is nil.
func servers(t testing.TB, n int, cfg sim.Config, seen func(server string, q sim.Seen)) (urls []string) {
	t.Helper()
	for i := range n {
		c := cfg
		c.Name = fmt.Sprintf("vllm-%d", i)
		c.OnRequest = func(q sim.Seen) {
			if seen != nil {
				seen(c.Name, q)
			}
		}
		s := sim.New(c)
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		urls = append(urls, s.URL())
	}
	return urls
}

// visits counts the inference requests of each server since the last take.
type visits struct {
	mu   sync.Mutex
	seen map[string]int // guarded by mu
}

// note counts a request, unless it is a probe.
func (v *visits) note(server string, q sim.Seen) {
	if q.Path == "/health" || q.Path == "/is_sleeping" || q.Path == "/v1/models" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil {
		v.seen = map[string]int{}
	}
	v.seen[server]++
}

// take returns the counts since the last take.
func (v *visits) take() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen := v.seen
	v.seen = nil
	return seen
}

// only returns the one server that received all requests since the last take. It fails the test where there were several.
func (v *visits) only(t testing.TB) string {
	t.Helper()
	seen := v.take()
	if len(seen) != 1 {
		t.Fatalf("requests of one conversation went to %v", seen)
	}
	for s := range seen {
		return s
	}
	return ""
}
