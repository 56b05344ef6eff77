package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/e2e/live"
	"tether/wire/wiretest"
)

// connecting makes connections all the time, one for each request, and counts those that fail.
type connecting struct {
	stop   atomic.Bool
	all    sync.WaitGroup
	asked  atomic.Int64
	mu     sync.Mutex
	failed []string // guarded by mu
}

func connect(addr string, workers int) *connecting {
	c := &connecting{}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}}
	for range workers {
		c.all.Go(func() {
			for !c.stop.Load() {
				res, err := client.Get("http://tether/v1/models")
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					res.Body.Close()
					if err == nil && res.StatusCode != 200 {
						err = fmt.Errorf("%s", res.Status)
					}
				}
				c.asked.Add(1)
				if err != nil {
					c.mu.Lock()
					c.failed = append(c.failed, err.Error())
					c.mu.Unlock()
				}
			}
		})
	}
	return c
}

// Twenty times, a new process takes over from the old one under load. No connection is refused, no request fails, and all conversations
// stay on their servers.
func TestHandover(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("session: { snapshot: %q }\nproxy: { handover: %q }\nhealth: { interval: 200ms }\n", filepath.Join(dir, "pins"), filepath.Join(dir, "handover"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	urls := servers(t, 3)
	data, admin := wiretest.FreeAddr(t), wiretest.FreeAddr(t)
	old := binary.RunAt(t, data, admin, urls, "-c", file)
	c := live.Start(t, old.URL, "X-Sim-Server", 20)
	c.GoOn(2)
	fresh := connect(data, 4)
	const times = 20
	for range times {
		next := binary.RunAt(t, data, admin, urls, "-c", file)
		if state := old.End(t, syscall.Signal(0), time.Minute); !state.Success() {
			t.Fatalf("the old process ended with %v\n%s", state, old.Log())
		}
		if !strings.Contains(old.Log(), "a new process has taken over") {
			t.Fatalf("the old process says:\n%s", old.Log())
		}
		old = next
	}
	c.GoOn(2)
	if moved := c.Moved(); len(moved) > 0 {
		t.Errorf("conversations of %v moved", moved)
	}
	fresh.stop.Store(true)
	fresh.all.Wait()
	for _, f := range fresh.failed {
		t.Error(f)
	}
	t.Logf("%d hand-overs, %d connections, %d failed", times, fresh.asked.Load(), len(fresh.failed))
	c.End()
}
