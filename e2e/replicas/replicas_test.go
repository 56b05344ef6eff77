// Package replicas runs three built binaries in front of four simulated servers, with and without a store, and lets a client choose a
// replica at random for each turn.
package replicas

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/session/store/storetest"
	"tether/sim"
	"tether/wire/wiretest"
)

var conversations = flag.Int("conversations", 200, "number of conversations")

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

const (
	replicas = 3
	clients  = 8
	// settling is how long the replicas may take to agree after a change.
	settling = 200 * time.Millisecond
	patience = 30 * time.Second
)

// fleet is the tethers, the servers and the conversations.
type fleet struct {
	t       testing.TB
	file    string // the configuration of all tethers
	store   string // the URL of the store, "" for none
	extra   string // lines of the configuration below session
	servers []*sim.Server
	inUse   []string // the names of the configured servers
	tethers []*binary.Tether
	addrs   [][2]string
	talks   []*talk
	client  http.Client
	failed  atomic.Int64
	slowest []time.Duration // of each round
}

// talk is a conversation.
type talk struct {
	id       string
	messages []map[string]string
	server   string // that served the last turn
	outcome  string // of the last turn
}

func newFleet(t testing.TB, store, extra string) *fleet {
	t.Helper()
	f := &fleet{t: t, store: store, extra: extra, file: filepath.Join(t.TempDir(), "tether.yaml")}
	f.client = http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: patience}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("the secret of all replicas"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.extra += "  secret_file: " + secret + "\n"
	for range 4 {
		f.addServer()
	}
	f.configure()
	for range replicas {
		f.addrs = append(f.addrs, [2]string{wiretest.FreeAddr(t), wiretest.FreeAddr(t)})
		f.tethers = append(f.tethers, f.run(len(f.tethers)))
	}
	for n := range *conversations {
		f.talks = append(f.talks, &talk{id: fmt.Sprintf("talk-%d", n)})
	}
	return f
}

func (f *fleet) run(n int) *binary.Tether {
	f.t.Helper()
	return f.runWith(n, "")
}

// runWith runs a replica with a variable of its own, NAME=VALUE; "" for none.
func (f *fleet) runWith(n int, variable string) *binary.Tether {
	f.t.Helper()
	if name, value, ok := strings.Cut(variable, "="); ok {
		if err := os.Setenv(name, value); err != nil {
			f.t.Fatal(err)
		}
		defer os.Unsetenv(name)
	}
	return binary.RunAt(f.t, f.addrs[n][0], f.addrs[n][1], nil, "-c", f.file)
}

func (f *fleet) addServer() {
	f.t.Helper()
	name := fmt.Sprintf("vllm-%d", len(f.servers))
	s := sim.New(sim.Config{Name: name, KeepAlive: -1})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(s.Stop)
	f.servers, f.inUse = append(f.servers, s), append(f.inUse, name)
}

// configure writes the configuration, which running tethers load.
func (f *fleet) configure() {
	f.t.Helper()
	var b strings.Builder
	b.WriteString("health: { interval: 200ms, timeout: 5s, fall: 2, rise: 1 }\nproxy: { shutdown_delay: 0s }\nupstreams:\n")
	for n, s := range f.servers {
		if slices.Contains(f.inUse, fmt.Sprintf("vllm-%d", n)) {
			fmt.Fprintf(&b, "  - { name: vllm-%d, url: %q }\n", n, s.URL())
		}
	}
	b.WriteString("session:\n" + f.extra)
	if f.store != "" {
		fmt.Fprintf(&b, "  store: { url: %q, timeout: 500ms }\n", f.store)
	}
	if err := os.WriteFile(f.file, []byte(b.String()), 0o600); err != nil {
		f.t.Fatal(err)
	}
	for _, p := range f.tethers {
		f.ask(p, "POST", "/api/reload")
	}
}

// ask sends a request to the admin listener of a tether.
func (f *fleet) ask(p *binary.Tether, method, path string) (body []byte) {
	f.t.Helper()
	req, err := http.NewRequest(method, p.Admin+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := f.client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
		f.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, body, err)
	}
	return body
}

// awaitState waits until all tethers say that a server is up or down.
func (f *fleet) awaitState(server string, up float64) {
	f.t.Helper()
	for _, p := range f.tethers {
		p.Await(f.t, fmt.Sprintf("tether_upstream_up{upstream=%q}", server), patience, func(v float64) bool { return v == up })
	}
}

// turn serves the next turn of a conversation, and returns the server.
func (f *fleet) turn(one *talk, p *binary.Tether) (server string) {
	one.messages = append(one.messages, map[string]string{"role": "user", "content": fmt.Sprintf("question %d of %s", len(one.messages), one.id)})
	body, _ := json.Marshal(map[string]any{"model": "tiny", "messages": one.messages, "max_tokens": 1}) // it has no error
	req, _ := http.NewRequest("POST", p.URL+"/v1/chat/completions", strings.NewReader(string(body)))
	req.Header.Set("X-Session-Id", one.id)
	req.Header.Set("Content-Type", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		f.t.Errorf("%s: %v", one.id, err)
		f.failed.Add(1)
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		f.t.Errorf("%s: %d %s %v", one.id, res.StatusCode, text, err)
		f.failed.Add(1)
		return ""
	}
	one.messages = append(one.messages, map[string]string{"role": "assistant", "content": "answer"})
	one.outcome = res.Header.Get("X-Tether-Affinity")
	return res.Header.Get("X-Sim-Server")
}

// round serves one turn of every conversation, each at a replica that is chosen at random. It returns the conversations whose turn went
// to another server than their last one.
func (f *fleet) round() (changed []*talk) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan *talk)
	for range clients {
		wg.Go(func() {
			for one := range next {
				began := time.Now()
				server := f.turn(one, f.tethers[rand.IntN(len(f.tethers))])
				mu.Lock()
				f.slowest = append(f.slowest, time.Since(began))
				if one.server != "" && server != one.server {
					changed = append(changed, one)
				}
				mu.Unlock()
				one.server = server
			}
		})
	}
	for _, one := range f.talks {
		next <- one
	}
	close(next)
	wg.Wait()
	return changed
}

// on counts the conversations whose last turn was at a server.
func (f *fleet) on(server string) (n int) {
	for _, one := range f.talks {
		if one.server == server {
			n++
		}
	}
	return n
}

// event is a change of the fleet, and the conversations that must move because of it.
type event struct {
	name string
	do   func(f *fleet) (must int)
}

var events = []event{
	{"nothing", func(*fleet) int { return 0 }},
	{"a server dies", func(f *fleet) int {
		f.servers[1].Kill()
		f.awaitState("vllm-1", 0)
		return f.on("vllm-1")
	}},
	{"it returns", func(f *fleet) int {
		if err := f.servers[1].Restart(); err != nil {
			f.t.Fatal(err)
		}
		f.awaitState("vllm-1", 1)
		return 0
	}},
	{"a fifth server", func(f *fleet) int {
		f.addServer()
		f.configure()
		f.awaitState("vllm-4", 1)
		return 0
	}},
	{"a drain at one replica", func(f *fleet) int {
		f.ask(f.tethers[0], "POST", "/api/upstreams/vllm-2/drain?move=now")
		return f.on("vllm-2")
	}},
	{"100 moves at any replica", func(f *fleet) (must int) {
		for _, one := range f.talks[:min(100, len(f.talks))] {
			path := "/api/sessions/" + url.PathEscape(one.id) + "/move?to=vllm-0&model=tiny"
			p := f.tethers[rand.IntN(len(f.tethers))]
			req, _ := http.NewRequest("POST", p.Admin+path, nil)
			res, err := f.client.Do(req)
			if err != nil {
				f.t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != 200 && (f.store != "" || res.StatusCode != 404) { // without a store a replica may not know the session
				f.t.Errorf("move of %s: %d", one.id, res.StatusCode)
			}
			if one.server != "vllm-0" {
				must++
			}
		}
		return must
	}},
	{"a replica restarts", func(f *fleet) int {
		f.tethers[2].End(f.t, syscall.SIGTERM, patience)
		f.tethers[2] = f.run(2)
		return 0
	}},
}

// figures are what an event has cost: turns that went to another server in the first round, beyond those that had to, and in the
// second.
type figures struct {
	must, beyond, later int
	outcomes            []string // of the turns that need not have moved
}

func (f *fleet) measure(e event) (g figures) {
	g.must = e.do(f)
	time.Sleep(settling)
	g.beyond = len(f.round()) - g.must
	time.Sleep(settling)
	for _, one := range f.round() {
		g.later++
		g.outcomes = append(g.outcomes, one.id+" "+one.outcome)
	}
	return g
}

// With a store, each conversation is served by one server from whatever replica, before and after every event. Without one it is so as
// long as all servers are up.
func TestOneServerForEachConversation(t *testing.T) {
	program := storetest.Programs(t)[0]
	server := storetest.Start(t, program)
	with, without := newFleet(t, "redis://"+server.Addr, ""), newFleet(t, "", "  placement: home\n")
	with.round()
	without.round()
	t.Logf("%d conversations, %d replicas: turns on a second server, beyond those that had to move | in the round after", len(with.talks), replicas)
	for _, e := range events {
		a, b := with.measure(e), without.measure(e)
		t.Logf("%-26s must move %4d | with a store %4d | %4d | without %4d | %4d", e.name, a.must, a.beyond, a.later, b.beyond, b.later)
		if a.beyond != 0 || a.later != 0 {
			t.Errorf("%s, with a store: %+v", e.name, a)
		}
		if e.name == "nothing" && b.beyond+b.later != 0 {
			t.Errorf("%s, without a store: %+v", e.name, b)
		}
	}
	if with.failed.Load() > 0 {
		t.Errorf("%d requests failed", with.failed.Load())
	}
	t.Logf("store: %s", server.Do(t, "XLEN", "{tether}:sessions"))
}
