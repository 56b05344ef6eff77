package e2e

import (
	"fmt"
	"io"
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
	"tether/sim"
)

// conversations take turns all the time, and note where each turn went.
type conversations struct {
	t      *testing.T
	url    string
	n      int
	client http.Client
	stop   atomic.Bool
	all    sync.WaitGroup
	turns  atomic.Int64
	cond   *sync.Cond // of mu: a turn has ended

	mu     sync.Mutex
	at     []string         // guarded by mu: the server of the last turn
	left   map[int][]string // guarded by mu: the servers that a conversation left
	failed []string         // guarded by mu
}

func converse(t *testing.T, url string, n int) *conversations {
	c := &conversations{t: t, url: url, n: n, at: make([]string, n), left: map[int][]string{}}
	c.cond = sync.NewCond(&c.mu)
	c.client = http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}}
	for i := range n {
		c.all.Go(func() {
			for turn := 0; !c.stop.Load(); turn++ {
				server, err := c.turn(i, turn)
				c.note(i, server, err)
			}
		})
	}
	return c
}

// turn sends a turn of conversation i. Every other conversation streams.
func (c *conversations) turn(i, turn int) (server string, err error) {
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":10,"stream":%v,"messages":[{"role":"user","content":"I am %d"},{"role":"user","content":"turn %d"}]}`, i%2 == 0, i, turn)
	req, err := http.NewRequest("POST", c.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", fmt.Sprint("live-", i))
	res, err := c.client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return "", err
	case res.StatusCode != 200 || i%2 == 0 && !strings.HasSuffix(string(text), "data: [DONE]\n\n"):
		return "", fmt.Errorf("%s: %s", res.Status, text)
	}
	return res.Header.Get("X-Sim-Server"), nil
}

func (c *conversations) note(i int, server string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch before := c.at[i]; {
	case err != nil:
		c.failed = append(c.failed, fmt.Sprintf("conversation %d: %v", i, err))
	case before != "" && before != server:
		c.left[i] = append(c.left[i], before)
		fallthrough
	default:
		c.at[i] = server
	}
	c.turns.Add(1)
	c.cond.Broadcast()
}

// goOn waits for n further turns of each conversation on average, and returns the number of conversations on each server.
func (c *conversations) goOn(n int) map[string]int {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for want := c.turns.Load() + int64(n*c.n); c.turns.Load() < want; {
		c.cond.Wait()
	}
	on := map[string]int{}
	for _, server := range c.at {
		on[server]++
	}
	return on
}

// moved returns how many conversations left each server since the last call. No conversation may have moved twice.
func (c *conversations) moved() map[string]int {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	from := map[string]int{}
	for i, left := range c.left {
		if len(left) > 1 {
			c.t.Errorf("conversation %d left %q", i, left)
		}
		from[left[0]]++
	}
	clear(c.left)
	return from
}

func (c *conversations) end() {
	c.t.Helper()
	c.stop.Store(true)
	c.all.Wait()
	c.client.CloseIdleConnections()
	for _, f := range c.failed {
		c.t.Error(f)
	}
	c.t.Logf("%d turns, %d failed", c.turns.Load(), len(c.failed))
}

// Under 200 live conversations a reload adds a fifth server, and a second one removes it again. The first moves no conversation; the
// second those of the leaving server, each once. No request fails.
func TestReloadUnderLoad(t *testing.T) {
	var urls []string
	for i := range 5 {
		s := sim.New(sim.Config{Name: fmt.Sprint("vllm-", i), DecodePerToken: 20 * time.Millisecond, PrefillPerToken: 10 * time.Microsecond})
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		urls = append(urls, s.URL())
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(n int) {
		t.Helper()
		text := "health: {interval: 200ms}\nupstreams:\n"
		for i := range n {
			text += fmt.Sprintf("  - { name: vllm-%d, url: %q }\n", i, urls[i])
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(4)
	p := binary.Run(t, nil, "-c", file)
	c := converse(t, p.URL, 200)
	c.goOn(2)
	const patience, reloads = time.Minute, `tether_config_reloads_total{result="ok"}`
	is := func(want float64) func(float64) bool { return func(v float64) bool { return v == want } }

	write(5) // tether notices by itself
	p.Await(t, reloads, patience, is(1))
	p.Await(t, `tether_upstream_up{upstream="vllm-4"}`, patience, is(1))
	c.goOn(3)
	up := c.moved()
	if len(up) > 0 {
		t.Errorf("a further server moved conversations of %v", up)
	}
	for i := range 100 { // new conversations find the new server
		if _, err := c.turn(1001+2*i, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Metric(t, `tether_upstream_pins{upstream="vllm-4"}`); n == 0 {
		t.Error("no new conversation is on the new server")
	}

	// vllm-3 leaves, and comes back.
	on := c.goOn(1)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	three := strings.Index(string(text), "  - { name: vllm-3")
	four := strings.Index(string(text), "  - { name: vllm-4")
	if err := os.WriteFile(file, append(text[:three:three], text[four:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.Await(t, reloads, patience, is(2))
	c.goOn(3)
	down := c.moved()
	if len(down) != 1 || down["vllm-3"] != on["vllm-3"] || on["vllm-3"] == 0 {
		t.Errorf("the server that left had %d conversations, and these moved: %v", on["vllm-3"], down)
	}
	if n := p.Metric(t, `tether_upstream_up{upstream="vllm-3"}`); n != 0 {
		t.Error("the series of the removed server is there")
	}
	t.Logf("up: %v moved; down: %v moved of %v", up, down, on)
	c.end()
}
