package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tether/sim"
	"tether/sim/fault"
	"tether/upstream"
	"tether/upstream/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; none is expected to take that long.
const patience = 20 * time.Second

// watched is a monitor of upstreams whose changes a test can await.
type watched struct {
	t        *testing.T
	cfg      Config
	monitor  *Monitor
	registry *upstream.Registry
	changes  chan upstream.Change
	warnings chan string
}

func watch(t *testing.T, cfg Config, urls ...string) *watched {
	t.Helper()
	w := &watched{t: t, cfg: cfg, changes: make(chan upstream.Change, 1000), warnings: make(chan string, 10)}
	w.registry = upstream.NewRegistry(func(c upstream.Change) { w.changes <- c })
	w.monitor = NewMonitor(Hooks{Warned: func(_ *upstream.Server, text string) { w.warnings <- text }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.monitor.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.apply(urls...)
	return w
}

func (w *watched) apply(urls ...string) {
	w.t.Helper()
	var specs []upstream.Spec
	for i, u := range urls {
		a, err := transport.ParseURL(u)
		if err != nil {
			w.t.Fatal(err)
		}
		specs = append(specs, upstream.Spec{Name: fmt.Sprintf("vllm-%d", i), Address: a, Weight: 100})
	}
	w.applySpecs(specs...)
}

func (w *watched) applySpecs(specs ...upstream.Spec) {
	w.t.Helper()
	if _, err := w.registry.Apply(specs); err != nil {
		w.t.Fatal(err)
	}
	w.monitor.Use(w.registry.Table(), w.cfg)
}

func (w *watched) up(i int) *upstream.Upstream { return w.registry.Table().Members[i].Upstream }

// await waits until the health of an upstream is h.
func (w *watched) await(u *upstream.Upstream, h upstream.Health) {
	w.t.Helper()
	timeout := time.After(patience)
	for u.State().Health() != h {
		select {
		case <-w.changes:
		case <-timeout:
			w.t.Fatalf("%s is %s", u.Name(), u.State().Words())
		}
	}
}

func (w *watched) ready() {
	w.t.Helper()
	select {
	case <-w.monitor.Ready():
	case <-time.After(patience):
		w.t.Fatal("never ready")
	}
}

func quick() Config {
	c := Default()
	c.Interval, c.Timeout = 100*time.Millisecond, time.Second
	return c
}

func startSim(t *testing.T, cfg sim.Config) *sim.Server {
	t.Helper()
	s := sim.New(cfg)
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func TestUpDownUp(t *testing.T) {
	s := startSim(t, sim.Config{Models: []string{"llama", "lora"}})
	w := watch(t, quick(), s.URL())
	w.ready()
	u := w.up(0)
	if u.State().Health() != upstream.Up {
		t.Fatalf("ready, but %s", u.State().Words())
	}
	if list := u.Models().All(); len(list) != 2 || list[0].ID != "llama" || list[1].ID != "lora" || !strings.Contains(string(list[0].Raw), `"owned_by"`) {
		t.Errorf("models %+v", list)
	}
	s.Kill()
	w.await(u, upstream.Down)
	if _, reason := u.Since(); reason != "probe could not connect" {
		t.Errorf("reason %q", reason)
	}
	if u.Models() == nil {
		t.Error("the last known list is gone")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	w.await(u, upstream.Up)
	if err := s.Inject(fault.Fault{Kind: fault.Unhealthy}); err != nil {
		t.Fatal(err)
	}
	w.await(u, upstream.Down)
	if _, reason := u.Since(); reason != "probe got a wrong status" {
		t.Errorf("reason %q", reason)
	}
}

// Probe timeouts make an upstream TimedOut, but not while answers of it are being received.
func TestBusyEngine(t *testing.T) {
	s := startSim(t, sim.Config{})
	cfg := quick()
	cfg.Timeout = 50 * time.Millisecond
	w := watch(t, cfg, s.URL())
	u := w.up(0)
	w.await(u, upstream.Up)

	busy, stop := context.WithCancel(t.Context())
	var relay sync.WaitGroup
	relay.Go(func() {
		for busy.Err() == nil {
			u.Delivered(time.Now())
			select {
			case <-time.After(cfg.Interval / 10):
			case <-busy.Done():
			}
		}
	})
	hung := make(chan struct{})
	go func() { // five probes hang while the engine delivers
		defer close(hung)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for range 5 {
			if s.Await(ctx, func(l sim.Load) bool { return l.Held > 0 }) != nil || s.Await(ctx, func(l sim.Load) bool { return l.Held == 0 }) != nil {
				t.Error("no probe was received")
				return
			}
		}
	}()
	if err := s.Inject(fault.Fault{Kind: fault.HangHealth}); err != nil {
		t.Fatal(err)
	}
	<-hung
	if h := u.State().Health(); h != upstream.Up {
		t.Errorf("a busy engine is %s", u.State().Words())
	}
	stop()
	relay.Wait()
	w.await(u, upstream.TimedOut)
	s.ClearFaults()
	w.await(u, upstream.Up)
}

// Suspicion brings the next probe forward.
func TestSuspicionBringsTheProbeForward(t *testing.T) {
	s := startSim(t, sim.Config{})
	cfg := quick()
	cfg.Interval = time.Hour
	w := watch(t, cfg, s.URL())
	u := w.up(0)
	w.await(u, upstream.Up)
	s.Kill()
	u.Suspected("a request could not connect to it")
	w.await(u, upstream.Down)
}

// A server is probed once, however many ranks it has: its verdict and its models are theirs, and trouble with any of them makes one
// more probe.
func TestRanksHaveOneProber(t *testing.T) {
	s := startSim(t, sim.Config{Ranks: 4, Record: 1000})
	address, err := transport.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	cfg := quick()
	cfg.Interval = time.Hour
	w := watch(t, cfg)
	probes := func() (n int) {
		for _, seen := range s.Requests() {
			if seen.Path == cfg.Path {
				n++
			}
		}
		return n
	}
	w.applySpecs(upstream.Spec{Name: "a", Address: address, Ranks: 4})
	changed := func(want string) {
		t.Helper()
		select {
		case c := <-w.changes:
			if got := fmt.Sprintf("%s (%d): %s", c.Name(), len(c.Upstreams), c.After.Words()); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("no change to %s", want)
		}
	}
	changed("a (4): up")
	for i := range 4 {
		if u := w.up(i); u.State().Health() != upstream.Up || !u.Models().Has([]byte("tiny")) {
			t.Errorf("%s is %s, models %v", u.Name(), u.State().Words(), u.Models().All())
		}
	}
	for i := range 4 { // as requests that cannot connect do, all at once
		w.up(i).Suspected("test")
	}
	changed("a (4): up, suspect")
	changed("a (4): up")
	w.applySpecs(upstream.Spec{Name: "a", Address: address, Ranks: 2}) // the prober stays
	w.applySpecs(upstream.Spec{Name: "a", Address: address, Ranks: 3})
	if n := probes(); n != 2 || wordsOf(w) != "up up up" {
		t.Errorf("%d probes, the ranks are %s", n, wordsOf(w))
	}
	s.Kill()
	w.up(1).Suspected("test")
	changed("a (3): up, suspect")
	changed("a (3): down")
}

func wordsOf(w *watched) string {
	var words []string
	for _, m := range w.registry.Table().Members {
		words = append(words, m.State().Words())
	}
	return strings.Join(words, " ")
}

func TestFirstVerdictsAreAwaited(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // the kernel accepts, and no answer follows
	s := startSim(t, sim.Config{})
	cfg := quick()
	cfg.Timeout = 200 * time.Millisecond
	w := watch(t, cfg, s.URL(), "http://"+l.Addr().String())
	select {
	case <-w.monitor.Ready():
		t.Fatal("ready before the second verdict")
	default:
	}
	w.ready()
	if a, b := w.up(0).State().Health(), w.up(1).State().Health(); a != upstream.Up || b != upstream.TimedOut {
		t.Errorf("%v, %v", a, b)
	}
}

func TestReadyWithoutUpstreams(t *testing.T) {
	w := watch(t, quick())
	w.ready()
}

// An upstream without a verdict keeps requests waiting for two timeouts and a second, and no longer.
func TestFirstWait(t *testing.T) {
	exhaust(t) // no probe is evidence
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		w := watch(t, Default(), nowhere)
		w.ready()
		if got, h := time.Since(started), w.up(0).State().Health(); got != 5*time.Second || h != upstream.Unknown {
			t.Errorf("ready after %v, %v", got, h)
		}
	})
}

// Ready waits only for servers of the first table, and no longer for those that have left it.
func TestFirstVerdictsAreOfTheFirstTable(t *testing.T) {
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hang.Close)
	goner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer goner.Close()
	probes := make(chan string, 1000)
	well := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { probes <- r.Host + r.URL.Path }))
	t.Cleanup(well.Close)

	cfg := quick()
	cfg.Timeout = patience
	w := watch(t, cfg, hang.URL, "http://"+goner.Addr().String())
	w.apply(hang.URL, well.URL, strings.Replace(well.URL, "127.0.0.1", "localhost", 1))
	// A server that is probed a second time has its first verdict.
	timeout := time.After(patience)
	for seen := map[string]int{}; len(seen) < 2 || slices.Min(slices.Collect(maps.Values(seen))) < 2; {
		select {
		case p := <-probes:
			if strings.HasSuffix(p, "/health") {
				seen[p]++
			}
		case <-timeout:
			t.Fatalf("probed: %v", seen)
		}
	}
	w.monitor.Use(w.registry.Table(), w.cfg) // Run has handled all that came before
	select {
	case <-w.monitor.Ready():
		t.Fatal("ready before a verdict on the first table's upstream")
	default:
	}
	close(release)
	w.ready()
}

// The probers of removed servers have ended when Use returns.
func TestUseStopsProbers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	w := watch(t, quick(), "http://"+l.Addr().String())
	first := <-accepted
	w.apply()
	// The probe under way is cut, and no other follows.
	first.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, first); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the probe's connection ended with %v", err)
	}
	first.Close()
	select {
	case c, ok := <-accepted:
		if ok {
			c.Close()
			t.Error("probed after its end")
		}
	case <-time.After(5 * w.cfg.Interval):
	}
}

// Other settings are in force from the next probe on, without another prober: what was counted goes on, and a long wait ends.
func TestSettingsChange(t *testing.T) {
	paths := make(chan string, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		if r.URL.Path == "/ping" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	cfg := quick()
	cfg.Interval = time.Hour
	w := watch(t, cfg, s.URL)
	w.ready()
	if got := <-paths; got != "/health" {
		t.Fatalf("probed %s", got)
	}
	<-paths     // whether it sleeps
	<-paths     // of the models
	<-w.changes // from unknown to up
	w.cfg.Interval, w.cfg.Path, w.cfg.Fall = 100*time.Millisecond, "/ping", 1
	w.monitor.Use(w.registry.Table(), w.cfg)
	select {
	case got := <-paths:
		if got != "/ping" {
			t.Errorf("probed %s", got)
		}
	case <-time.After(patience):
		t.Fatal("still waits for the former interval")
	}
	w.await(w.up(0), upstream.Down)
	for len(w.changes) > 0 {
		if c := <-w.changes; c.Before.Health() == upstream.Unknown {
			t.Error("counting began anew")
		}
	}
}

// The same settings leave a wait as it is.
func TestSettingsStay(t *testing.T) {
	s := startSim(t, sim.Config{Record: 100})
	cfg := quick()
	cfg.Interval = time.Hour
	w := watch(t, cfg, s.URL())
	w.ready()
	for range 10 {
		w.monitor.Use(w.registry.Table(), cfg)
	}
	if n := len(s.Requests()); n > 3 { // /health, /is_sleeping and /v1/models
		t.Errorf("%d requests", n)
	}
}
