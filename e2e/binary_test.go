// Package e2e runs the built binary as users do: in front of simulated servers, with the official clients.
package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"tether/sim"
)

// patience bounds every wait of these tests; none is expected to take it.
const patience = 30 * time.Second

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tether-e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "tether")
		build := exec.Command("go", "build", "-trimpath", "-o", binary, "tether")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// proxy is a running tether.
type proxy struct {
	url, admin string
	log        *bytes.Buffer
}

// start runs tether in front of the servers with the given URLs until the test ends.
func start(t testing.TB, urls []string, args ...string) *proxy {
	t.Helper()
	data, admin := freeAddr(t), freeAddr(t)
	p := &proxy{url: "http://" + data, admin: "http://" + admin, log: new(bytes.Buffer)}
	args = append([]string{"run", "--listen", data, "--admin-listen", admin}, args...)
	for _, u := range urls {
		args = append(args, "--upstream", u)
	}
	cmd := exec.Command(binary, args...)
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			t.Errorf("tether ended with %v\n%s", err, p.log)
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(p.admin + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == 200 {
				return p
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("never ready\n%s", p.log)
		}
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

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
