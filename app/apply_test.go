package app

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tether/config"
	"tether/sim"
	"tether/upstream"
	"tether/upstream/transport"
)

// specsOf returns the specs of servers with these URLs, named vllm-0 and so on.
func specsOf(t testing.TB, urls ...string) (specs []upstream.Spec) {
	t.Helper()
	for i, u := range urls {
		address, err := transport.ParseURL(u)
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, upstream.Spec{Name: fmt.Sprint("vllm-", i), Address: address, Slot: i, Weight: 100})
	}
	return specs
}

// useUpstreams replaces the upstreams and keeps all other settings. An error changes nothing.
func (a *app) useUpstreams(specs []upstream.Spec) error {
	a.applying.Lock()
	defer a.applying.Unlock()
	other := *a.settings.Load()
	other.specs = specs
	return a.apply(&other)
}

// named gives the upstreams of a configuration the names of specsOf.
func named(c *config.Config) {
	for i := range c.Upstreams {
		c.Upstreams[i].Name = fmt.Sprint("vllm-", i)
	}
}

// live is conversations that take turns all the time.
type live struct {
	*running
	size   int
	client *http.Client
	stop   atomic.Bool
	all    sync.WaitGroup
	turns  atomic.Int64

	mu     sync.Mutex
	where  map[int]string   // server of the last turn
	moves  map[int][]string // servers that a conversation left
	failed []string
}

// converse starts n conversations, of which every other one streams, and returns once each has had a turn.
func converse(s *running, n int) *live {
	l := &live{running: s, size: n, where: map[int]string{}, moves: map[int][]string{}, client: &http.Client{
		Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true},
	}}
	var first sync.WaitGroup
	for i := range n {
		first.Add(1)
		l.all.Go(func() {
			for k := 0; !l.stop.Load(); k++ {
				l.turn(i, k)
				if k == 0 {
					first.Done()
				}
			}
		})
	}
	first.Wait()
	return l
}

func (l *live) turn(i, k int) {
	got, err := l.running.turn(l.client, fmt.Sprint("live-", i), k, i%2 == 0)
	l.turns.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || got.status != 200 || got.cut {
		l.failed = append(l.failed, fmt.Sprintf("conversation %d, turn %d: %+v, %v", i, k, got, err))
		return
	}
	if before := l.where[i]; before != "" && before != got.server {
		l.moves[i] = append(l.moves[i], before)
	}
	l.where[i] = got.server
}

// goOn waits until each conversation has had further turns on average.
func (l *live) goOn(turns int64) {
	l.t.Helper()
	want := l.turns.Load() + turns*int64(l.size)
	for deadline := time.Now().Add(patience); l.turns.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%d turns, want %d", l.turns.Load(), want)
		}
	}
}

// moved returns how many conversations moved since the last call, and the servers that they left. No conversation may move twice.
func (l *live) moved() (n int, from map[string]int) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	from = map[string]int{}
	for i, left := range l.moves {
		if len(left) > 1 {
			l.t.Errorf("conversation %d left %v", i, left)
		}
		from[left[0]]++
		n++
	}
	clear(l.moves)
	return n, from
}

func (l *live) end() {
	l.t.Helper()
	l.stop.Store(true)
	l.all.Wait()
	l.client.CloseIdleConnections()
	for _, f := range l.failed {
		l.t.Error(f)
	}
}

// on counts the conversations on a server.
func (l *live) on(server string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.where {
		if at == server {
			n++
		}
	}
	return n
}

// A fifth server moves no conversation. When it leaves, its own conversations move, each once, and no request fails. Then neither
// probes nor series of the server are left.
func TestUpstreamsComeAndGo(t *testing.T) {
	_, urls := startSims(t, 5, sim.Config{DecodePerToken: 5 * time.Millisecond})
	s := startTether(t, named, urls[:4]...)
	for i := range 4 {
		s.await(i, "up")
	}
	l := converse(s, 60)
	l.goOn(2)
	specs := specsOf(t, urls...)
	if err := s.app.useUpstreams(specs); err != nil {
		t.Fatal(err)
	}
	s.await(4, "up")
	l.goOn(4)
	if n, from := l.moved(); n > 0 {
		t.Errorf("%d conversations moved when a server was added: %v", n, from)
	}
	each(60, 8, func(i int, client *http.Client) { // new conversations find the new server
		if _, err := s.turn(client, fmt.Sprint("late-", i), 0, false); err != nil {
			t.Error(err)
		}
	})
	if n := s.upstreams()[4].Pins; n < 3 {
		t.Errorf("%d of 60 new conversations are on the new server", n)
	}
	leaving := l.on("vllm-3")
	if err := s.app.useUpstreams(append(specs[:3:3], specs[4])); err != nil {
		t.Fatal(err)
	}
	l.goOn(4)
	n, from := l.moved()
	if n != leaving || from["vllm-3"] != leaving || leaving == 0 {
		t.Errorf("%d conversations moved, from %v, want the %d of vllm-3", n, from, leaving)
	}
	l.end()
	probes := func() map[string]float64 { return samples(s.text("/metrics"), "tether_probes_total", "upstream") }
	before := probes()["vllm-2"]
	for probes()["vllm-2"] < before+3 { // probes of vllm-3 would recreate a series meanwhile
		time.Sleep(time.Millisecond)
	}
	if text := s.text("/metrics"); strings.Contains(text, `"vllm-3"`) {
		t.Error("series of vllm-3 are left")
	}
}

// A new upstream under the address, the name or the slot of a removed one gets none of its pins.
func TestPinsAreNotInherited(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{})
	s := startTether(t, named, urls[0])
	s.await(0, "up")
	for i := range 20 {
		if _, err := s.turn(http.DefaultClient, fmt.Sprint("s-", i), 0, false); err != nil {
			t.Fatal(err)
		}
	}
	both := specsOf(t, urls[0], urls[1])
	renamed := specsOf(t, urls[0])
	renamed[0].Name = "other"
	for what, specs := range map[string][]upstream.Spec{"address": renamed, "name and slot": specsOf(t, urls[1])} {
		if err := s.app.useUpstreams(specs); err != nil {
			t.Fatal(err)
		}
		if u := s.upstreams(); len(u) != 1 || u[0].Pins != 0 {
			t.Errorf("with the %s of a removed upstream: %+v", what, u)
		}
		if err := s.app.useUpstreams(both); err != nil {
			t.Fatal(err)
		}
		if u := s.upstreams(); u[0].Pins != 0 || u[1].Pins != 0 {
			t.Errorf("after a return: %+v", u)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A stream at a removed server goes on to its end, and is cut once shutdown_timeout has passed.
func TestStreamsAtRemovedServers(t *testing.T) {
	for _, limit := range []time.Duration{0, time.Hour} {
		sims, urls := startSims(t, 2, sim.Config{})
		s := startTether(t, func(c *config.Config) { named(c); c.Proxy.ShutdownTimeout = limit }, urls...)
		s.await(0, "up")
		s.await(1, "up")
		client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
		home := make([]string, 20)
		for i := range home {
			got, err := s.turn(client, fmt.Sprint("s-", i), 0, false)
			if err != nil {
				t.Fatal(err)
			}
			home[i] = got.server
		}
		stream := s.stall(client, home, "vllm-1", 1)[0]
		if err := s.app.useUpstreams(specsOf(t, urls[0])); err != nil {
			t.Fatal(err)
		}
		if limit > 0 {
			sims[1].ClearFaults()
		}
		text, err := io.ReadAll(stream.Body)
		stream.Body.Close()
		if whole := err == nil && strings.HasSuffix(string(text), "data: [DONE]\n\n"); whole != (limit > 0) {
			t.Errorf("with shutdown_timeout %v: %v, %q", limit, err, text)
		}
		client.CloseIdleConnections()
	}
}

// A set that the ring cannot have changes nothing.
func TestUpstreamsThatCannotBe(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	s := startTether(t, named, urls...)
	s.await(0, "up")
	before := s.app.registry.Table()
	specs := specsOf(t, urls[0], "http://127.0.0.1:1")
	specs[1].Slot = 0
	if err := s.app.useUpstreams(specs); err == nil || !strings.Contains(err.Error(), `number 0 is taken by "vllm-0"`) {
		t.Error(err)
	}
	if s.app.registry.Table() != before {
		t.Error("the upstreams changed")
	}
}
