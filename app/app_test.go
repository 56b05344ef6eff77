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
	"tether/session"
	"tether/sim"
)

// patience bounds every wait of these tests; none is expected to take it.
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

	answers strings.Builder // what canaries got of tether itself
}

func serve(t testing.TB, change func(*config.Config), urls ...string) *running {
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
	graceful, stop := context.WithCancel(context.Background())
	immediate, kill := context.WithCancel(context.Background())
	var delayed atomic.Bool
	s := &running{t: t, logs: logs, kill: kill, done: make(chan error, 1)}
	at := make(chan Addresses, 1)
	go func() {
		s.done <- Run(Shutdown{Graceful: graceful, Delayed: delayed.Load, Immediate: immediate}, cfg, logs.env(), func(a Addresses) { at <- a })
	}()
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

// await waits until the n-th upstream is as told. Every change of it is logged.
func (s *running) await(n int, state string) {
	s.t.Helper()
	s.logs.await(s.t, fmt.Sprintf("%s of upstream %d", state, n), func() bool { return s.upstreams()[n].State == state })
}

// turn is what one request of a conversation came to.
type turn struct {
	server  string
	outcome string
	status  int
	cut     bool // the answer is not whole
	seen    bool // and its client sees that
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

// stall opens streams of that many of the sessions on a server, and has the server stall after their first events.
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

// A thousand conversations over four servers: each stays on its server; one server dies and only its conversations
// move; it returns and nobody moves, or all come home.
func TestConversationsStay(t *testing.T) {
	for _, mode := range []session.Return{session.Stay, session.Home} {
		t.Run(string(mode), func(t *testing.T) {
			sessions := 1000
			if testing.Short() {
				sessions = 200
			}
			// Long enough streams that some are under way when the server dies.
			sims, urls := startSims(t, 4, sim.Config{DecodePerToken: time.Millisecond})
			s := serve(t, func(c *config.Config) { c.Session.Routing.Return = mode }, urls...)
			home := make([]string, sessions)
			each(sessions, 64, func(i int, client *http.Client) {
				id := fmt.Sprint("s-", i)
				for n := range 5 {
					got, err := s.turn(client, id, n, (i+n)%2 == 0)
					want := "pinned"
					if n == 0 {
						want, home[i] = "new", got.server
					}
					if err != nil || got.status != 200 || got.cut || got.outcome != want || got.server != home[i] {
						t.Errorf("session %d, turn %d: %+v, %v; want %s at %s", i, n, got, err, want, home[i])
						return
					}
				}
			})
			if t.Failed() {
				return
			}
			perServer := map[string]int{}
			for _, h := range home {
				perServer[h]++
			}
			t.Logf("sessions by server: %v", perServer)

			// The server dies while a turn of everybody is under way, some of its streams for certain.
			const dead = 1
			client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true}}
			defer client.CloseIdleConnections()
			streams := s.stall(client, home, "vllm-1", 4)
			var killed sync.Once
			var begun, cutStreams atomic.Int64
			now := make([]string, sessions)
			each(sessions, 64, func(i int, client *http.Client) {
				if begun.Add(1) == int64(sessions/4) {
					killed.Do(sims[dead].Kill)
				}
				stream := i%2 == 0
				got, err := s.turn(client, fmt.Sprint("s-", i), 5, stream)
				switch {
				case err != nil || got.status != 200:
					t.Errorf("session %d: %+v, %v", i, got, err)
				case got.cut && !stream:
					t.Errorf("session %d: a JSON answer was cut: %+v", i, got)
				case got.cut && !got.seen:
					t.Errorf("session %d: a stream that was cut ended as if it were whole: %+v", i, got)
				case got.cut:
					cutStreams.Add(1)
					if got.bytes == 0 || got.server != "vllm-1" {
						t.Errorf("session %d: a stream was cut that had not begun, or of a living server: %+v", i, got)
					}
				}
				now[i] = got.server
				if home[i] != "vllm-1" && (got.server != home[i] || got.outcome != "pinned") {
					t.Errorf("session %d moved from %s to %s (%s)", i, home[i], got.server, got.outcome)
				}
			})
			for _, res := range streams {
				var got turn
				if got.read(res.Body, true); !got.seen {
					t.Errorf("a stream of the dead server was not visibly cut: %+v", got)
				}
				res.Body.Close()
			}
			s.await(dead, "down")
			orphans := map[string]int{}
			each(sessions, 64, func(i int, client *http.Client) {
				got, err := s.turn(client, fmt.Sprint("s-", i), 6, false)
				if err != nil || got.status != 200 || got.cut || got.server == "vllm-1" {
					t.Errorf("session %d after the death: %+v, %v", i, got, err)
				}
				if home[i] != "vllm-1" && got.server != home[i] {
					t.Errorf("session %d moved from %s to %s", i, home[i], got.server)
				}
				now[i] = got.server
			})
			for i, h := range home {
				if h == "vllm-1" {
					orphans[now[i]]++
				}
			}
			fair := float64(perServer["vllm-1"]) / 3
			for _, name := range []string{"vllm-0", "vllm-2", "vllm-3"} {
				if float64(orphans[name]) < fair/2 {
					t.Errorf("%s got %d orphans, want at least half of %.0f", name, orphans[name], fair)
				}
			}
			t.Logf("orphans by server: %v; %d streams past their first byte were cut", orphans, cutStreams.Load())

			if err := sims[dead].Restart(); err != nil {
				t.Fatal(err)
			}
			s.await(dead, "up")
			moved := 0
			var mu sync.Mutex
			each(sessions, 64, func(i int, client *http.Client) {
				got, err := s.turn(client, fmt.Sprint("s-", i), 7, i%2 == 0)
				want := now[i]
				if mode == session.Home {
					want = home[i]
				}
				if err != nil || got.status != 200 || got.cut || got.server != want || got.outcome != "pinned" {
					t.Errorf("session %d after the return: %+v, %v; want pinned at %s", i, got, err, want)
				}
				if got.server != now[i] {
					mu.Lock()
					moved++
					mu.Unlock()
				}
			})
			if want := map[session.Return]int{session.Stay: 0, session.Home: perServer["vllm-1"]}[mode]; moved != want {
				t.Errorf("%d moved when it returned, want %d", moved, want)
			}
		})
	}
}
