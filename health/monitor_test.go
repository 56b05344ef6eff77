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

// patience bounds every wait of these tests; none is expected to take it.
const patience = 20 * time.Second

// watched is a monitor over upstreams, whose changes can be awaited.
type watched struct {
	t        *testing.T
	monitor  *Monitor
	registry *upstream.Registry
	changes  chan upstream.Change
	warnings chan string
}

func watch(t *testing.T, cfg Config, urls ...string) *watched {
	t.Helper()
	w := &watched{t: t, changes: make(chan upstream.Change, 1000), warnings: make(chan string, 10)}
	w.registry = upstream.NewRegistry(func(c upstream.Change) { w.changes <- c })
	w.monitor = NewMonitor(cfg, Hooks{Warned: func(_ *upstream.Server, text string) { w.warnings <- text }})
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
	w.monitor.Use(w.registry.Table())
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

func TestUnixSocket(t *testing.T) {
	s := sim.New(sim.Config{})
	if _, err := s.Start("unix:" + t.TempDir() + "/vllm.sock"); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	w := watch(t, quick(), s.URL())
	w.await(w.up(0), upstream.Up)
}

// Timeouts take an upstream down by timeouts, but not while its answers are on their way.
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
				t.Error("no probe came")
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

// Trouble with connecting makes the next probe come at once.
func TestSuspicionHurries(t *testing.T) {
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

// A server is probed once, however many ranks it has: they have its verdict and its models, and trouble with any of them
// makes one more probe.
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
	for i := range 4 { // as requests do that could not connect, all at once
		w.up(i).Suspected("test")
	}
	changed("a (4): up, suspect")
	changed("a (4): up")
	w.applySpecs(upstream.Spec{Name: "a", Address: address, Ranks: 2}) // the prober that goes on is the one there was
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

// While one rank delivers, a probe that times out is no sign against any.
func TestBusyRank(t *testing.T) {
	p := alone(t, nowhere)
	registry := upstream.NewRegistry(nil)
	if _, err := registry.Apply([]upstream.Spec{{Name: "a", Ranks: 2}}); err != nil {
		t.Fatal(err)
	}
	m := registry.Table().Members
	p.server = m[0].Server
	now := time.Now()
	m[1].Delivered(now)
	for range 10 {
		p.apply(timedOut, now)
	}
	if p.tally.bad != 0 {
		t.Errorf("%d probes count, though a rank delivers", p.tally.bad)
	}
	p.apply(timedOut, now.Add(p.cfg.Interval))
	if p.tally.bad != 1 {
		t.Errorf("%d probes count after an interval of silence", p.tally.bad)
	}
}

func TestFirstVerdictsAreAwaited(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts, in the kernel, and never answers
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

// An upstream without a verdict keeps requests waiting for two timeouts and a second, no longer.
func TestFirstWait(t *testing.T) {
	exhaust(t) // no probe says anything
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		w := watch(t, Default(), nowhere)
		w.ready()
		if got, h := time.Since(started), w.up(0).State().Health(); got != 5*time.Second || h != upstream.Unknown {
			t.Errorf("ready after %v, %v", got, h)
		}
	})
}

// Only verdicts on upstreams of the first table count, and those that left it are awaited no longer.
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
	// Whoever is probed a second time has handed in the first verdict.
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
	w.monitor.Use(w.registry.Table()) // Run is through with what came before
	select {
	case <-w.monitor.Ready():
		t.Fatal("ready before a verdict on the first table's upstream")
	default:
	}
	close(release)
	w.ready()
}

// A list that cannot be had stays unknown, and a 401 is remembered: the server wants the client's key.
func TestModelsNotToBeHad(t *testing.T) {
	s := startSim(t, sim.Config{APIKey: "secret"})
	w := watch(t, quick(), s.URL())
	w.ready()
	u := w.up(0)
	if u.State().Health() != upstream.Up || u.Models() != nil || !u.NeedsKey() {
		t.Errorf("%s, models %v, asks for a key: %v", u.State().Words(), u.Models(), u.NeedsKey())
	}
	for _, body := range []string{``, `[]`, `{}`, `{"data":{}}`, `nonsense`} {
		if m, ok := parseModels([]byte(body)); ok {
			t.Errorf("%s is a list: %v", body, m)
		}
	}
	if m, ok := parseModels([]byte(`{"data":[{"id":"a"},{"id":""},{"id":7},"x",{"id":"b"}]}`)); !ok || len(m.All()) != 2 {
		t.Errorf("%v, %v", m, ok)
	}
}

// Of a server that wants a key the list is learned with the one that is configured, and a key that it refuses is
// warned of, once.
func TestModelsWithAKey(t *testing.T) {
	s := startSim(t, sim.Config{APIKey: "secret", Record: 100})
	address, err := transport.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, quick())
	shown := func(key transport.APIKey) upstream.Spec {
		return upstream.Spec{Name: "a", Address: address, RequestOptions: transport.RequestOptions{Key: key}}
	}
	w.applySpecs(shown("wrong"))
	u := w.up(0)
	w.await(u, upstream.Up)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	await := func(what string, is func() bool) {
		t.Helper()
		if s.Await(ctx, func(sim.Load) bool { return is() }) != nil {
			t.Fatal(what)
		}
	}
	await("probed too seldom", func() bool { return len(s.Requests()) >= 6 })
	text := <-w.warnings
	if !strings.Contains(text, "api_key_file") || strings.Contains(text, "wrong") || !u.NeedsKey() || u.Models() != nil {
		t.Errorf("warned %q, asks for a key: %v, models %v", text, u.NeedsKey(), u.Models())
	}
	w.applySpecs(shown("secret"))
	await("the list is not learned", func() bool { return u.Models() != nil })
	if u.NeedsKey() || !u.Models().Has([]byte("tiny")) {
		t.Errorf("asks for a key: %v, models %v", u.NeedsKey(), u.Models().All())
	}
	if len(w.warnings) > 0 {
		t.Errorf("warned again: %q", <-w.warnings)
	}
	keys := map[string]map[string]bool{}
	for _, seen := range s.Requests() {
		if keys[seen.Path] == nil {
			keys[seen.Path] = map[string]bool{}
		}
		keys[seen.Path][seen.Header.Get("Authorization")] = true
	}
	for _, path := range []string{"/health", "/v1/models"} {
		if got := keys[path]; !got["Bearer wrong"] || !got["Bearer secret"] || len(got) != 2 {
			t.Errorf("%s was asked for with %v", path, got)
		}
	}
}

// A server whose list changes is followed.
func TestModelsChange(t *testing.T) {
	lists := make(chan string)
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/v1/models", func(w http.ResponseWriter, r *http.Request) {
		select {
		case id := <-lists:
			fmt.Fprintf(w, `{"data":[{"id":%q}]}`, id)
		case <-r.Context().Done():
		}
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	w := watch(t, quick(), s.URL)
	lists <- "a"
	w.ready()
	u := w.up(0)
	if !u.Models().Has([]byte("a")) {
		t.Fatalf("models %v", u.Models().All())
	}
	lists <- "b"
	lists <- "c" // asked for by the probe after the one that read b
	if !u.Models().Has([]byte("b")) && !u.Models().Has([]byte("c")) {
		t.Errorf("models %v", u.Models().All())
	}
}

// A prober that is no longer wanted has ended when Use returns.
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
	// The probe under way was cut, and none follows.
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
	case <-time.After(5 * w.monitor.cfg.Interval):
	}
}
