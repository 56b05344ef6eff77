package app

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/config"
	"tether/session/balance"
	"tether/sim"
	"tether/sim/fault"
)

// compileTime is how long the newcomer of TestNewcomer does not answer, from its first request.
var compileTime = flag.Duration("compile", 10*time.Second, "how long a newcomer compiles at its first request")

// arrivals starts new conversations at a steady rate, each with one turn over a prompt of its own.
type arrivals struct {
	*running
	client *http.Client
	all    sync.WaitGroup
	begun  int

	mu     sync.Mutex
	served map[string]int           // guarded by mu: conversations by server
	waited map[string]time.Duration // guarded by mu: the longest
	failed []string                 // guarded by mu
}

// arrive starts conversations for a time.
func (a *arrivals) arrive(d time.Duration) (begun int) {
	const every = 100 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		n := a.begun
		a.begun, begun = a.begun+1, begun+1
		a.all.Go(func() { a.converse(n) })
	}
	return begun
}

// converse has a turn with a prompt of 16 KiB.
func (a *arrivals) converse(n int) {
	begin := time.Now()
	word := fmt.Sprintf("conversation %d ", n)
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":8,"messages":[{"role":"user","content":%q}]}`, strings.Repeat(word, 16<<10/len(word)))
	res, err := a.client.Do(a.request("POST", "/v1/chat/completions", body, "X-Session-Id", fmt.Sprint("new-", n)))
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil || res.StatusCode != http.StatusOK {
		a.failed = append(a.failed, fmt.Sprint(n, err))
		return
	}
	res.Body.Close()
	server := res.Header.Get("X-Sim-Server")
	a.served[server]++
	a.waited[server] = max(a.waited[server], time.Since(begin))
}

func (a *arrivals) on(server string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.served[server]
}

// A newcomer that compiles at its first request gets a few conversations meanwhile, and its share afterwards: the backlog of placement by
// load holds it back, without a slow start.
//
// With -compile 20s, the newcomer got 11 of 195 conversations while it compiled, and 29 of 98 afterwards.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	// A prompt of 16 KiB takes 130 ms of a server: ten a second keep a third of four servers busy.
	sims, urls := startSims(t, 4, sim.Config{PrefillPerToken: 32 * time.Microsecond})
	s := startTether(t, func(c *config.Config) { named(c); c.Session.Routing.Balance.Placement = balance.Load }, urls[:3]...)
	for i := range 3 {
		s.await(i, "up")
	}
	a := &arrivals{running: s, served: map[string]int{}, waited: map[string]time.Duration{}, client: &http.Client{Timeout: patience + *compileTime, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}
	a.arrive(3 * time.Second)
	if err := sims[3].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	if err := s.app.useUpstreams(specsOf(t, urls...)); err != nil {
		t.Fatal(err)
	}
	s.await(3, "up")
	during := a.arrive(*compileTime)
	held := sims[3].Load().Held
	sims[3].ClearFaults()
	a.all.Wait()
	before := a.on("vllm-3")
	after := a.arrive(max(4*time.Second, *compileTime/2))
	a.all.Wait()
	a.client.CloseIdleConnections()
	share := a.on("vllm-3") - before
	t.Logf("of %d conversations while it compiled for %v the newcomer got %d; of %d afterwards %d; by server %v, longest wait %v", during, *compileTime, held, after, share, a.served, a.waited)
	if held == 0 || held > during/6 {
		t.Errorf("the newcomer got %d of %d conversations while it compiled, want a few", held, during)
	}
	if share < after/8 {
		t.Errorf("the newcomer got %d of %d conversations afterwards, want its share", share, after)
	}
	for _, f := range a.failed {
		t.Error(f)
	}
}
