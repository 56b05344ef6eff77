// Package e2e runs the built binary as users do: in front of simulated servers, with the official clients.
package e2e

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
)

// patience bounds every wait of these tests; none is expected to take it.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// servers are simulated vLLM servers; seen is told of every request.
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

// visits notes which server saw how many inference requests since the last look.
type visits struct {
	mu   sync.Mutex
	seen map[string]int // guarded by mu
}

func (v *visits) note(server string, q sim.Seen) {
	if q.Path == "/health" || q.Path == "/v1/models" {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil {
		v.seen = map[string]int{}
	}
	v.seen[server]++
}

// take gives what was seen since the last look.
func (v *visits) take() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen := v.seen
	v.seen = nil
	return seen
}

// only gives the one server that saw all requests since the last look.
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
