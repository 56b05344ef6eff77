package main

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

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

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
	logs  *observer.ObservedLogs
	stop  func(delayed bool) // and wait
	kill  context.CancelFunc
	done  chan error
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
	cfg.Session.Max = 100_000
	if change != nil {
		change(cfg)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	wanted, want := context.WithCancel(context.Background())
	needed, need := context.WithCancel(context.Background())
	var delayed atomic.Bool
	s := &running{t: t, logs: logs, kill: need, done: make(chan error, 1)}
	at := make(chan addresses, 1)
	go func() {
		s.done <- run(life{wanted: wanted, delayed: delayed.Load, needed: needed}, cfg, 4<<30, zap.New(core), func(a addresses) { at <- a })
	}()
	select {
	case a := <-at:
		s.addr, s.admin = a.data, a.admin
	case err := <-s.done:
		t.Fatalf("did not start: %v", err)
	}
	var once sync.Once
	s.stop = func(d bool) {
		once.Do(func() {
			delayed.Store(d)
			want()
			if err := <-s.done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { need(); s.stop(false) })
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

// await waits until the health of the n-th upstream is as told; the sims' probes are what makes time pass.
func (s *running) await(n int, state string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); s.upstreams()[n].State != state; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("upstream %d is %s, want %s", n, s.upstreams()[n].State, state)
		}
	}
}

// turn is what one request of a conversation came to.
type turn struct {
	server  string
	outcome string
	status  int
	cut     bool // the answer's end was not clean
	bytes   int
}

func (s *running) turn(client *http.Client, sessionID string, n int, stream bool) (turn, error) {
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":8,"stream":%v,"messages":[{"role":"user","content":"conversation %s"},{"role":"user","content":"turn %d"}]}`, stream, sessionID, n)
	req, err := http.NewRequest("POST", "http://"+s.addr+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return turn{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", sessionID)
	res, err := client.Do(req)
	if err != nil {
		return turn{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	clean := err == nil && (!stream || strings.HasSuffix(string(text), "data: [DONE]\n\n"))
	return turn{
		server: res.Header.Get("X-Sim-Server"), outcome: res.Header.Get("X-Tether-Affinity"), status: res.StatusCode,
		cut: !clean, bytes: len(text),
	}, nil
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
			s := serve(t, func(c *config.Config) { c.Session.Return = mode }, urls...)
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

			// The server dies while a turn of everybody is under way.
			const dead = 1
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
