// Package e2e runs the built binary as users do, in front of simulated servers: README's commands, and TLS.
package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
)

// patience bounds every wait of these tests. None is expected to take that long.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// servers starts n simulated vLLM servers.
func servers(t testing.TB, n int) (urls []string) {
	t.Helper()
	for i := range n {
		s := sim.New(sim.Config{Name: fmt.Sprintf("vllm-%d", i)})
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		urls = append(urls, s.URL())
	}
	return urls
}
