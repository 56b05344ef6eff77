package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"tether/config"
	"tether/session"
	"tether/sim"
	"tether/sim/fault"
	"tether/wire/wiretest"
)

// unending is the shutdown of a tether that runs until the end of the test.
func unending(t *testing.T) Shutdown {
	return Shutdown{Graceful: t.Context(), Delayed: func() bool { return false }, Immediate: t.Context()}
}

func awaitEnd(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("tether does not end")
		return nil
	}
}

// A start that fails half-way ends what it started, and says why.
func TestStartThatFails(t *testing.T) {
	one := 1
	for want, change := range map[string]func(*config.Config){
		"slot": func(c *config.Config) {
			c.Upstreams = []config.Upstream{{URL: "http://127.0.0.1:1", Slot: &one}, {URL: "http://127.0.0.1:2", Slot: &one}}
		},
		"choose another with --listen":       func(c *config.Config) { c.Listen = "192.0.2.1:0" },
		"choose another with --admin-listen": func(c *config.Config) { c.Admin.Listen = "192.0.2.1:0" },
		`session.secret_file: "/nowhere"`:    func(c *config.Config) { c.Session.Identity.SecretFile = "/nowhere" },
		`admin.token_file: "/nowhere"`:       func(c *config.Config) { c.Admin.TokenFile = "/nowhere" },
	} {
		cfg := config.Default()
		cfg.Listen, cfg.Admin.Listen = wiretest.FreeAddr(t), wiretest.FreeAddr(t)
		ours := []string{cfg.Listen, cfg.Admin.Listen}
		change(cfg)
		done := make(chan error, 1)
		go func() {
			done <- Run(unending(t), cfg, Env{Memory: 4 << 30, Log: zap.NewNop(), Access: io.Discard}, nil)
		}()
		if err := awaitEnd(t, done); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		for _, addr := range ours {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Errorf("%s: a listener is still open: %v", want, err)
				continue
			}
			l.Close()
		}
	}
}

// When a part fails, requests in flight still finish before run returns, and nothing keeps running.
func TestPartThatFails(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	cfg := config.Default()
	cfg.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Upstreams = []config.Upstream{{URL: urls[0]}}
	l := unending(t)
	l.Delayed = func() bool { return true }
	cfg.Proxy.ShutdownDelay = time.Hour
	logs := newLogbook()
	x, err := build(l, cfg, logs.env())
	if err != nil {
		t.Fatal(err)
	}
	at := make(chan Addresses, 1)
	done := make(chan error, 1)
	go func() { done <- x.run(func(a Addresses) { at <- a }) }()
	data := (<-at).Clients
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		res, _, err := post(t, data, hello)
		if err == nil && res.StatusCode != 200 {
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		answered <- err
	}()
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	x.adminListener.Close()
	logs.awaitLine(t, "shutting down: requests in flight may finish")
	select {
	case err := <-done:
		t.Fatalf("ended with a request in flight: %v", err)
	default:
	}
	sims[0].ClearFaults()
	if err := <-answered; err != nil {
		t.Errorf("the request in flight failed: %v", err)
	}
	if err := awaitEnd(t, done); err == nil || !strings.Contains(err.Error(), "admin listener: ") {
		t.Error(err)
	}
}

// A thousand conversations over four servers: each stays on its server. One server dies, and only its conversations
// move. It returns, and no conversation moves, or all of its own move back.
func TestConversationsStay(t *testing.T) {
	for _, mode := range []session.Return{session.Stay, session.Home} {
		t.Run(string(mode), func(t *testing.T) {
			sessions := 1000
			if testing.Short() || detector {
				sessions = 200
			}
			// Long enough streams that some are under way when the server dies.
			sims, urls := startSims(t, 4, sim.Config{DecodePerToken: time.Millisecond})
			s := startTether(t, func(c *config.Config) { c.Session.Routing.Return = mode }, urls...)
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

			// The server dies while each session has a turn under way. Some of the server's streams are certainly open.
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
						t.Errorf("session %d: a stream was cut that had not begun, or one of a living server: %+v", i, got)
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

// The conversations of a server that sleeps move, as those of a server that is down do, and the server comes back when it wakes up.
func TestSleepingServer(t *testing.T) {
	sims, urls := startSims(t, 2, sim.Config{SleepMode: true})
	s := startTether(t, nil, urls...)
	s.await(0, "up")
	s.await(1, "up")
	turn := func() (server, outcome string) {
		t.Helper()
		res, body, err := post(t, s.addr, hello)
		if err != nil || res.StatusCode != 200 {
			t.Fatal(res, body, err)
		}
		return res.Header.Get("X-Sim-Server"), res.Header.Get("X-Tether-Affinity")
	}
	first, _ := turn()
	asleep := 0
	if first == "vllm-1" {
		asleep = 1
	}
	sims[asleep].Sleep()
	s.await(asleep, "down")
	if server, outcome := turn(); server == first || outcome != "moved" {
		t.Errorf("%s by %s while %s sleeps", outcome, server, first)
	}
	sims[asleep].WakeUp()
	s.await(asleep, "up")
	sims[1-asleep].Sleep()
	s.await(1-asleep, "down")
	if server, outcome := turn(); server != first || outcome != "moved" {
		t.Errorf("%s by %s, which is awake", outcome, server)
	}
	sims[asleep].Sleep()
	s.logs.await(t, "sleep", func() bool { return s.upstreams()[asleep].State == "down" })
	if res, _, err := post(t, s.addr, hello); err != nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("all asleep: %v, %v", res, err)
	}
	sims[0].WakeUp() // it holds no request up
	sims[1].WakeUp()
}
