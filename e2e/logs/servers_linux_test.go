// Package logs runs the built binary while its logs cannot be written: pipes that are not read or have lost their reader,
// and full disks.
package logs

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
)

const (
	// patience bounds every wait of these tests. No wait is expected to take so long.
	patience = 30 * time.Second
	// exitLimit is how long tether may take to end: a second for each log, and time for a busy machine.
	exitLimit = 10 * time.Second
)

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// world is a tether in front of simulated servers, and its clients.
type world struct {
	t       *testing.T
	proxy   *binary.Tether
	servers []*sim.Server

	mu   sync.Mutex
	sent map[string]int // guarded by mu; requests by client
}

// upstreamName makes long lines: it is as long as a name may be.
var upstreamName = "vllm-" + strings.Repeat("x", 123)

// start starts a tether that writes its logs to the files, in front of n servers.
func start(t *testing.T, out, errOut *os.File, servers ...*sim.Server) *world {
	t.Helper()
	text := "log: { access: all }\nhealth: { interval: 200ms }\nupstreams:\n"
	for i, s := range servers {
		text += fmt.Sprintf("- { url: %q, name: %.*s%d }\n", s.URL(), len(upstreamName)-1, upstreamName, i)
	}
	file := t.TempDir() + "/config.yaml"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, proxy: binary.RunTo(t, out, errOut, nil, "-c", file), servers: servers, sent: map[string]int{}}
}

func simulated(t testing.TB) *sim.Server {
	t.Helper()
	s := sim.New(sim.Config{})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func (w *world) name(server int) string {
	return fmt.Sprintf("%.*s%d", len(upstreamName)-1, upstreamName, server)
}

// request returns the next request of a client. Its number is in the access log.
func (w *world) request(client, method, path, body string) *http.Request {
	req, err := http.NewRequest(method, w.proxy.URL+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	req.Header.Set("X-Request-Id", fmt.Sprintf("%s.%d.%s", client, w.sent[client], strings.Repeat("x", 100)))
	req.Header.Set("Content-Type", "application/json")
	w.sent[client]++
	return req
}

// total returns how many requests were sent.
func (w *world) total() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, requests := range w.sent {
		n += requests
	}
	return n
}

// do sends a request, which must have the status, and returns how long the response took.
func (w *world) do(c *http.Client, req *http.Request, status int) time.Duration {
	began := time.Now()
	res, err := c.Do(req)
	if err != nil {
		w.t.Error(err)
		return time.Since(began)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != status {
		w.t.Errorf("%d, want %d: %s, %v", res.StatusCode, status, text, err)
	}
	return time.Since(began)
}

// chat asks a server, and returns how long the response took.
func (w *world) chat(c *http.Client, client string) time.Duration {
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"client %s"}]}`, client)
	return w.do(c, w.request(client, "POST", "/v1/chat/completions", body), 200)
}

// flood sends requests that tether itself refuses, and whose lines in the access log are long.
func (w *world) flood(clients, requests int) {
	w.t.Helper()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			c := newClient()
			defer c.CloseIdleConnections()
			for range requests {
				w.do(c, w.request(fmt.Sprint("flood-", i), "GET", "/"+strings.Repeat("y", 250), ""), 404)
			}
		})
	}
	all.Wait()
}

func newClient() *http.Client { return &http.Client{Timeout: patience, Transport: &http.Transport{}} }

// serves checks that tether is ready, serves, and notices that a server dies and returns.
func (w *world) serves() {
	w.t.Helper()
	c := newClient()
	defer c.CloseIdleConnections()
	w.chat(c, "single")
	up := fmt.Sprintf("tether_upstream_up{upstream=%q}", w.name(0))
	w.servers[0].Kill()
	w.proxy.Await(w.t, up, patience, func(v float64) bool { return v == 0 })
	if err := w.servers[0].Restart(); err != nil {
		w.t.Fatal(err)
	}
	w.proxy.Await(w.t, up, patience, func(v float64) bool { return v == 1 })
	w.chat(c, "single")
	res, err := http.Get(w.proxy.Admin + "/readyz")
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		w.t.Errorf("/readyz: %d", res.StatusCode)
	}
}

// drains drains a server and lets it return, as often as times says. Each order is a line of tether's own log.
func (w *world) drains(times int) {
	w.t.Helper()
	address := strings.TrimPrefix(w.proxy.Admin, "http://")
	c, err := net.Dial("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	order := func(word string) string {
		return fmt.Sprintf("POST /api/upstreams/%s/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", w.name(0), word, address)
	}
	go func() { _, _ = io.WriteString(c, strings.Repeat(order("drain")+order("undrain"), times)) }()
	for in, n := bufio.NewReader(c), 0; n < 2*times; n++ {
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != 200 {
			w.t.Fatalf("order %d: %v, %v", n, res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
	}
}

// drainsUntilDropped causes lines of tether's own log until it drops some.
func (w *world) drainsUntilDropped() {
	w.t.Helper()
	for deadline := time.Now().Add(patience); w.dropped("app") == 0; w.drains(1000) {
		if time.Now().After(deadline) {
			w.t.Fatal("tether's own log drops no lines")
		}
	}
}

func (w *world) dropped(log string) int {
	w.t.Helper()
	return int(w.proxy.Metric(w.t, fmt.Sprintf("tether_log_lines_dropped_total{log=%q}", log)))
}
