package health

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tether/sim"
	"tether/sim/fault"
	"tether/upstream"
	"tether/upstream/load"
	"tether/upstream/transport"
)

// scraping returns a scraper that does not run, of a server that is up, and its upstreams. The warnings are what it said.
func scraping(t *testing.T, url string, ranks int) (s *scraper, members []upstream.Member, warnings *[]string) {
	t.Helper()
	a, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	r := upstream.NewRegistry(nil)
	if _, err := r.Apply([]upstream.Spec{{Name: "a", Address: a, Ranks: ranks, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.CloseIdle() })
	warnings = new([]string)
	settings := new(atomic.Pointer[Config])
	settings.Store(&defaults)
	server := r.Table().Servers[0]
	server.SetHealth(upstream.Up, "test")
	return newScraper(settings, server, func(text string) { *warnings = append(*warnings, text) }), r.Table().Members, warnings
}

// The load of a simulated server shows at its upstream, by rank or together, over one connection. A rank without requests says nothing.
func TestScrapeOfTheSimulator(t *testing.T) {
	sims := startSim(t, sim.Config{Ranks: 2, MaxSeqs: 1, BlockSize: 16, CacheBlocks: 100, PrefillPerToken: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 3 {
		go func() {
			req, _ := http.NewRequestWithContext(ctx, "POST", sims.URL()+"/v1/completions", strings.NewReader(`{"prompt":[1,2,3],"max_tokens":1}`))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("X-data-parallel-rank", "1")
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
	}
	wait, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := sims.Await(wait, func(l sim.Load) bool { return l.Running == 1 && l.Waiting == 2 }); err != nil {
		t.Fatal(err)
	}
	conns := sims.Load().Conns
	for ranks, want := range map[int][]load.EngineLoad{
		0: {{Running: 1, Waiting: 2, KVUsage: 0.005, KVCapacity: 3200}},
		2: {{Running: load.Unknown, Waiting: load.Unknown, KVUsage: load.Unknown, KVCapacity: 1600}, {Running: 1, Waiting: 2, KVUsage: 0.01, KVCapacity: 1600}},
	} {
		s, members, warnings := scraping(t, sims.URL(), ranks)
		for range 3 {
			s.tick(ctx, &defaults, time.Now())
		}
		for i, w := range want {
			got, known := members[i].EngineLoad(time.Now())
			if !known || got.Running != w.Running || got.Waiting != w.Waiting || math.Abs(got.KVUsage-w.KVUsage) > 1e-9 || got.KVCapacity != w.KVCapacity {
				t.Errorf("%d ranks: %s: %+v, %v, want %+v", ranks, members[i].Name(), got, known, w)
			}
			if c := members[i].KVCapacity(); c != w.KVCapacity {
				t.Errorf("capacity %d, want %d", c, w.KVCapacity)
			}
		}
		if !s.whole || len(*warnings) != 0 { // with several ranks there are no selections
			t.Errorf("whole page %v, warnings %v", s.whole, *warnings)
		}
		if conns++; sims.Load().Conns != conns {
			t.Errorf("%d connections, want %d", sims.Load().Conns, conns)
		}
	}
	one, _, warnings := scraping(t, startSim(t, sim.Config{}).URL(), 0)
	if one.tick(ctx, &defaults, time.Now()); one.whole || len(*warnings) != 0 {
		t.Errorf("whole page %v, warnings %v", one.whole, *warnings)
	}
}

// pages is a server whose page a test can change.
type pages struct {
	*httptest.Server
	page  atomic.Pointer[http.HandlerFunc]
	asked atomic.Int64
}

func servePages(t *testing.T) *pages {
	p := &pages{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		(*p.page.Load())(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *pages) set(h http.HandlerFunc) { p.page.Store(&h) }

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
}

func status(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) }
}

const onePage = "vllm:num_requests_running{engine=\"0\"} 3.0\nvllm:num_requests_waiting{engine=\"0\"} 2.0\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n"

// Servers that know no selections are asked for the whole page, and from then on for nothing else.
func TestScrapeWithoutSelections(t *testing.T) {
	for name, otherwise := range map[string]http.HandlerFunc{
		"404": status(404), "redirect": status(307), "an empty page": text(""), "a foreign page": text("x 1\n"), "500": status(500),
	} {
		t.Run(name, func(t *testing.T) {
			p := servePages(t)
			p.set(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/metrics" && r.URL.RawQuery == "" {
					fmt.Fprint(w, strings.Repeat("# other\n", 100_000), onePage)
					return
				}
				otherwise(w, r)
			})
			s, members, warnings := scraping(t, p.URL, 0)
			now := time.Now()
			for second := range 5 {
				s.tick(t.Context(), &defaults, now.Add(time.Duration(second)*time.Second))
			}
			if l, known := members[0].EngineLoad(time.Now()); !known || l.Running != 3 || l.Waiting != 2 || len(*warnings) != 0 {
				t.Errorf("%+v, %v, %v", l, known, *warnings)
			}
			if n := p.asked.Load(); n != 4 {
				t.Errorf("asked %d times within 5 s, want 4: for a selection once, and then every 2 s", n)
			}
		})
	}
}

// A page that is huge, foreign, absent or that lies is warned of once, asked for less often, and mentioned once when it is back.
func TestBadMetrics(t *testing.T) {
	const because = "its metrics do not tell the load of its engines: "
	huge := strings.Repeat("x", 1<<20) + "\n"
	for want, page := range map[string]http.HandlerFunc{
		"it answers 404 to health.metrics_path": status(404),
		"it answers 503 to health.metrics_path": status(503),
		"the page is too large": func(w http.ResponseWriter, _ *http.Request) {
			for range 9 {
				fmt.Fprint(w, huge)
			}
		},
		"the page has no figures of vLLM's engines":      text("<html>"),
		"the page is not in the text form of Prometheus": text("vllm:num_requests_running{\n"),
		"the page has a figure that cannot be":           text("vllm:num_requests_running NaN\n"),
	} {
		t.Run(want, func(t *testing.T) {
			p := servePages(t)
			s, members, warnings := scraping(t, p.URL, 0)
			now := time.Now()
			tick := func(after time.Duration) { now = now.Add(after); s.tick(t.Context(), &defaults, now) }
			check := func(want ...string) {
				t.Helper()
				if strings.Join(*warnings, "|") != strings.Join(want, "|") {
					t.Errorf("warnings %q, want %q", *warnings, want)
				}
			}
			p.set(text(onePage))
			tick(0)
			p.set(page)
			tick(time.Second)
			check(because + want)
			asked := p.asked.Load()
			for range 29 {
				tick(time.Second)
			}
			if n := p.asked.Load(); n != asked {
				t.Errorf("asked %d times within 30 s", n-asked)
			}
			for range 20 {
				tick(unreadablePause)
			}
			check(because + want)
			if l, known := members[0].EngineLoad(time.Now().Add(6 * time.Second)); known {
				t.Errorf("old figures count: %+v", l)
			}

			p.set(text(onePage))
			tick(unreadablePause)
			check(because+want, "its metrics tell the load of its engines again")
			for range 3 { // it goes back and forth
				p.set(page)
				tick(unreadablePause)
				p.set(text(onePage))
				tick(unreadablePause)
			}
			check(because+want, "its metrics tell the load of its engines again")
			p.set(page)
			tick(quietFor)
			check(because+want, "its metrics tell the load of its engines again", because+want)
		})
	}
}

// A page that lacks a figure is read for the others, as often as ever, and warned of once.
func TestIncompleteMetrics(t *testing.T) {
	p := servePages(t)
	p.set(text("vllm:num_requests_running{engine=\"0\"} 3.0\nvllm:requests_queued{engine=\"0\"} 2.0\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n"))
	s, members, warnings := scraping(t, p.URL, 0)
	for range 3 {
		s.tick(t.Context(), &defaults, time.Now())
	}
	if l, known := members[0].EngineLoad(time.Now()); !known || l.Running != 3 || l.Waiting != load.Unknown || l.KVUsage != 0.5 {
		t.Errorf("%+v, %v", l, known)
	}
	if n := p.asked.Load(); n != 3 || len(*warnings) != 1 || !strings.HasSuffix((*warnings)[0], ": the page lacks some of the figures of vLLM's engines") {
		t.Errorf("asked %d times, warnings %q", n, *warnings)
	}
}

// A server that does not answer, or not in time, is warned of once its figures are old, and goes on being asked.
func TestSilentMetrics(t *testing.T) {
	p := servePages(t)
	p.set(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s, _, warnings := scraping(t, p.URL, 0)
	now := time.Now()
	s.trouble.pause(now)
	for after := time.Duration(0); after <= 5*time.Second; after += time.Second {
		s.tick(t.Context(), &defaults, now.Add(after))
	}
	if n := p.asked.Load(); n < 6 || len(*warnings) != 0 {
		t.Errorf("asked %d times in 5 s, warnings %q", n, *warnings)
	}
	s.tick(t.Context(), &defaults, now.Add(6*time.Second))
	if len(*warnings) != 1 || !strings.HasSuffix((*warnings)[0], ": no answer, or not in time") {
		t.Errorf("warnings %q", *warnings)
	}

	// A page that never ends takes the time limit, and no longer.
	short := defaults
	short.Timeout = 50 * time.Millisecond
	p.set(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, onePage)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	began := time.Now()
	s.tick(t.Context(), &short, now.Add(7*time.Second))
	if took := time.Since(began); took > patience/2 || len(*warnings) != 1 {
		t.Errorf("took %v, warnings %q", took, *warnings)
	}
}

// Without a path, and while the server is not up, no page is asked for. After that another process may be there.
func TestMetricsAreNotAskedFor(t *testing.T) {
	p := servePages(t)
	p.set(status(404))
	s, _, _ := scraping(t, p.URL, 0)
	off := defaults
	off.MetricsPath = ""
	s.tick(t.Context(), &off, time.Now())
	s.server.SetHealth(upstream.Down, "test")
	s.tick(t.Context(), &defaults, time.Now())
	if n := p.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
	s.server.SetHealth(upstream.Up, "test")
	for range 3 {
		s.tick(t.Context(), &defaults, time.Now())
	}
	if n := p.asked.Load(); n != 2 {
		t.Errorf("asked %d times, want twice: the selection and the whole page", n)
	}
	s.server.SetHealth(upstream.Down, "test")
	s.tick(t.Context(), &defaults, time.Now())
	s.server.SetHealth(upstream.Up, "test")
	s.tick(t.Context(), &defaults, time.Now())
	if n := p.asked.Load(); n != 4 {
		t.Errorf("asked %d times after a restart, want twice more", n-2)
	}
}

// A page that hangs delays no verdict, and its reader ends with the monitor.
func TestHangingMetricsDelayNoVerdict(t *testing.T) {
	s := startSim(t, sim.Config{})
	if err := s.Inject(fault.Fault{Kind: fault.Hang, Path: "/metrics/*"}); err != nil {
		t.Fatal(err)
	}
	w := watch(t, quick(), s.URL())
	w.ready()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Await(ctx, func(l sim.Load) bool { return l.Held > 0 }); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	began := time.Now()
	w.await(w.up(0), upstream.Down)
	if took := time.Since(began); took > time.Second {
		t.Errorf("down after %v", took)
	}
}

// A server without a page of use is left alone for unreadablePause, and one that is not up until its health changes.
func TestNextPage(t *testing.T) {
	s, _, _ := scraping(t, nowhere, 0)
	now := time.Now()
	check := func(what string, earliest, latest time.Duration) {
		t.Helper()
		if due := s.next(now).Sub(now); due < earliest || due > latest {
			t.Errorf("%s: the next page is due after %v, want %v..%v", what, due, earliest, latest)
		}
	}
	check("usually", 900*time.Millisecond, 1100*time.Millisecond)
	s.resume = now.Add(unreadablePause)
	check("after a page that cannot be read", unreadablePause, unreadablePause+scrapeInterval/beats)
	s.server.SetHealth(upstream.Down, "test")
	if due := s.next(now); !due.IsZero() {
		t.Errorf("down: the next page is due after %v", due.Sub(now))
	}
}

// A change of the health or of the settings ends the long pause after a page that cannot be read.
func TestWakeEndsThePause(t *testing.T) {
	p := servePages(t)
	p.set(status(404))
	s, _, _ := scraping(t, p.URL, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(ctx)
	}()
	began := time.Now()
	for asked := int64(2); asked <= 4; asked += 2 { // each time for a selection and for the whole page
		for p.asked.Load() < asked {
			if time.Since(began) > unreadablePause/2 {
				t.Fatalf("asked %d times, want %d", p.asked.Load(), asked)
			}
			time.Sleep(10 * time.Millisecond)
		}
		s.wake()
	}
	cancel()
	<-ended
}
