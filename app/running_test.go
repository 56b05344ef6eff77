package app

import (
	"context"
	"encoding/json"
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
)

// patience limits every wait of these tests. No wait should need it.
const patience = 30 * time.Second

// running is a whole tether in this process.
type running struct {
	t     testing.TB
	addr  string
	admin string
	logs  *logbook
	stop  func(delayed bool) // and wait
	kill  context.CancelFunc
	done  chan error
	app   *app

	answers strings.Builder // answers of tether's own, see answered
}

// startTether starts a tether in front of servers, with a configuration that change may adjust.
func startTether(t testing.TB, change func(*config.Config), urls ...string) *running {
	t.Helper()
	cfg, err := config.Load(config.Source{
		Upstreams: urls, Memory: 4 << 30,
		Flags: []config.Flag{{Name: "--listen", Path: "listen", Value: "127.0.0.1:0"}, {Name: "--admin-listen", Path: "admin.listen", Value: "127.0.0.1:0"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Health.Interval, cfg.Health.Timeout = 100*time.Millisecond, time.Second
	cfg.Session.Pins.Max = 100_000
	if change != nil {
		change(cfg)
	}
	logs := newLogbook()
	return startWith(t, cfg, logs, logs.env())
}

// startWith starts a tether that logs to logs.
func startWith(t testing.TB, cfg *config.Config, logs *logbook, env Env) *running {
	t.Helper()
	graceful, stop := context.WithCancel(context.Background())
	immediate, kill := context.WithCancel(context.Background())
	var delayed atomic.Bool
	s := &running{t: t, logs: logs, kill: kill, done: make(chan error, 1)}
	at := make(chan Addresses, 1)
	a, err := build(Shutdown{Graceful: graceful, Delayed: delayed.Load, Immediate: immediate}, cfg, env)
	if err != nil {
		t.Fatal(err)
	}
	s.app = a
	go func() { s.done <- a.run(func(a Addresses) { at <- a }) }()
	select {
	case a := <-at:
		s.addr, s.admin = a.Clients, a.Operators
	case err := <-s.done:
		t.Fatalf("did not start: %v", err)
	}
	var once sync.Once
	s.stop = func(d bool) {
		once.Do(func() {
			delayed.Store(d)
			stop()
			if err := <-s.done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { kill(); s.stop(false) })
	return s
}

func startSims(t testing.TB, n int, cfg sim.Config) (sims []*sim.Server, urls []string) {
	t.Helper()
	for i := range n {
		c := cfg
		c.Name = fmt.Sprintf("vllm-%d", i)
		s := sim.New(c)
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		sims, urls = append(sims, s), append(urls, s.URL())
	}
	return sims, urls
}

func post(t testing.TB, addr, body string) (*http.Response, string, error) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: false}}
	defer client.CloseIdleConnections()
	res, err := client.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

const hello = `{"model":"tiny","messages":[{"role":"user","content":"hello"}]}`

// view is an upstream as the admin API shows it.
type view struct {
	Name, State string
	Pins        int
	InFlight    int64 `json:"in_flight"`
	Models      []string
}

func (s *running) upstreams() []view {
	s.t.Helper()
	var answer struct{ Upstreams []view }
	s.get("/api/upstreams", &answer)
	return answer.Upstreams
}

func (s *running) get(path string, into any) int {
	s.t.Helper()
	res, err := http.Get("http://" + s.admin + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			s.t.Fatal(err)
		}
	}
	return res.StatusCode
}

// text returns an answer of the admin listener.
func (s *running) text(path string) string {
	s.t.Helper()
	res, err := http.Get("http://" + s.admin + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// await waits until the n-th upstream has the state. Every change of a state is logged.
func (s *running) await(n int, state string) {
	s.t.Helper()
	s.logs.await(s.t, fmt.Sprintf("%s of upstream %d", state, n), func() bool { return s.upstreams()[n].State == state })
}

// request makes a request to the listener for clients. headers are names and values; those without a value are left out.
func (s *running) request(method, path, body string, headers ...string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	return req
}

// awaitRequests waits until n requests are counted, and returns the metrics: a client may have its answer a moment before
// the request is counted.
func (s *running) awaitRequests(n float64) (text string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		text = s.text("/metrics")
		sum := 0.0
		for _, v := range samples(text, "tether_requests_total", "outcome") {
			sum += v
		}
		if sum == n {
			return text
		}
	}
	s.t.Fatalf("%v requests were never counted\n%s", n, text)
	return ""
}

// turn is the outcome of one request of a conversation.
type turn struct {
	server  string
	outcome string
	status  int
	cut     bool // the answer is not whole
	seen    bool // the client can see that
	bytes   int
}

func (s *running) turn(client *http.Client, sessionID string, n int, stream bool) (turn, error) {
	res, err := s.ask(client, sessionID, n, stream, "")
	if err != nil {
		return turn{}, err
	}
	defer res.Body.Close()
	got := turn{server: res.Header.Get("X-Sim-Server"), outcome: res.Header.Get("X-Tether-Affinity"), status: res.StatusCode}
	got.read(res.Body, stream)
	return got, nil
}

// read reads an answer to its end.
func (t *turn) read(body io.Reader, stream bool) {
	text, err := io.ReadAll(body)
	t.bytes = len(text)
	t.seen = err != nil || strings.Contains(string(text), `"error":{`)
	t.cut = t.seen || stream && !strings.HasSuffix(string(text), "data: [DONE]\n\n")
}

func (s *running) ask(client *http.Client, sessionID string, n int, stream bool, fault string) (*http.Response, error) {
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":8,"stream":%v,"messages":[{"role":"user","content":"conversation %s"},{"role":"user","content":"turn %d"}]}`, stream, sessionID, n)
	req, err := http.NewRequest("POST", "http://"+s.addr+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", sessionID)
	if fault != "" {
		req.Header.Set("X-Sim-Fault", fault)
	}
	return client.Do(req)
}

// stall opens streams of n sessions on a server, which stalls after their first events.
func (s *running) stall(client *http.Client, home []string, server string, n int) (streams []*http.Response) {
	s.t.Helper()
	for i := 0; i < len(home) && len(streams) < n; i++ {
		if home[i] != server {
			continue
		}
		res, err := s.ask(client, fmt.Sprint("s-", i), 5, true, "stall=2")
		if err != nil || res.StatusCode != 200 {
			s.t.Fatalf("%v, %v", res, err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, len("data: {"))); err != nil {
			s.t.Fatal(err)
		}
		streams = append(streams, res)
	}
	return streams
}

// each runs f for every number below n, by workers.
func each(n, workers int, f func(i int, client *http.Client)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true}}
			defer client.CloseIdleConnections()
			for i := next.Add(1) - 1; int(i) < n; i = next.Add(1) - 1 {
				f(int(i), client)
			}
		})
	}
	wg.Wait()
}
