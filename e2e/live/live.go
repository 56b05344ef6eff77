// Package live holds conversations that take turns all the time, for tests that change something meanwhile: servers, or tether. It notes where
// each turn went, and what failed. live.go is tested by these tests, in e2e and e2e/clients/vllm.
package live

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Conversations take turns all the time, and note where each turn went.
type Conversations struct {
	t      *testing.T
	url    string
	header string // of answers: it names the server
	n      int
	client http.Client
	stop   atomic.Bool
	all    sync.WaitGroup
	turns  atomic.Int64
	cond   *sync.Cond // of mu: a turn has ended

	mu     sync.Mutex
	at     []string         // guarded by mu: the server of the last turn
	left   map[int][]string // guarded by mu: the servers that a conversation left
	cuts   map[string]int   // guarded by mu: the streams of each server that ended early, visibly
	failed []string         // guarded by mu
}

// Start starts n conversations through the proxy at url. A field of the answers names the server: header.
func Start(t *testing.T, url, header string, n int) *Conversations {
	c := &Conversations{t: t, url: url, header: header, n: n, at: make([]string, n), left: map[int][]string{}, cuts: map[string]int{}}
	c.cond = sync.NewCond(&c.mu)
	c.client = http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}}
	for i := range n {
		c.all.Go(func() {
			for turn := 0; !c.stop.Load(); turn++ {
				server, err := c.Turn(i, turn)
				c.note(i, server, err)
			}
		})
	}
	return c
}

// errCut is the end of a stream that does not look like the end of an answer.
var errCut = errors.New("the stream was cut")

// Turn sends a turn of conversation i. Every other conversation streams.
func (c *Conversations) Turn(i, turn int) (server string, err error) {
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
	case errors.Is(err, io.ErrUnexpectedEOF) && res.StatusCode == 200 && i%2 == 0:
		return res.Header.Get(c.header), errCut
	case err != nil:
		return "", err
	case res.StatusCode != 200 || i%2 == 0 && !strings.HasSuffix(string(text), "data: [DONE]\n\n"):
		return "", fmt.Errorf("%s: %s", res.Status, text)
	}
	return res.Header.Get(c.header), nil
}

func (c *Conversations) note(i int, server string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch before := c.at[i]; {
	case err == errCut:
		c.cuts[server]++
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

// GoOn waits for n further turns of each conversation on average, and returns the number of conversations on each server.
func (c *Conversations) GoOn(n int) map[string]int {
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

// Moved returns how many conversations left each server since the last call. No conversation may have moved twice.
func (c *Conversations) Moved() map[string]int {
	c.t.Helper()
	return c.MovedWithin(1)
}

// MovedWithin returns how many conversations left each server first, since the last call. None may have moved more often than most.
func (c *Conversations) MovedWithin(most int) map[string]int {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	from := map[string]int{}
	for i, left := range c.left {
		if len(left) > most {
			c.t.Errorf("conversation %d left %q", i, left)
		}
		from[left[0]]++
	}
	clear(c.left)
	return from
}

// End ends the conversations, and fails the test for each turn that failed and each cut that was not taken.
func (c *Conversations) End() {
	c.t.Helper()
	c.stop.Store(true)
	c.all.Wait()
	c.client.CloseIdleConnections()
	for _, f := range c.failed {
		c.t.Error(f)
	}
	for server, n := range c.cuts {
		c.t.Errorf("%d streams of %q were cut", n, server)
	}
	c.t.Logf("%d turns, %d failed", c.turns.Load(), len(c.failed))
}

// TakeCuts returns the streams of each server that were cut since the last call.
func (c *Conversations) TakeCuts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	cuts := c.cuts
	c.cuts = map[string]int{}
	return cuts
}
