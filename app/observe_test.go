package app

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"tether/config"
	"tether/sim"
)

// samples returns the sums of a metric's values in a scrape, by the value of one label.
func samples(text, metric, label string) map[string]float64 {
	sums := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^`+metric+`(?:\{(.*)\})? (\S+)$`).FindAllStringSubmatch(text, -1) {
		value, _ := strconv.ParseFloat(m[2], 64)
		key := ""
		if at := regexp.MustCompile(`(?:^|,)` + label + `="([^"]*)"`).FindStringSubmatch(m[1]); label != "" && at != nil {
			key = at[1]
		}
		sums[key] += value
	}
	return sums
}

// tally counts what the clients and the simulated servers saw.
type tally struct {
	mu       sync.Mutex
	outcomes map[string]float64 // guarded by mu, as all below
	seen     map[string]float64 // by server
	cached   float64
	requests float64
}

func (c *tally) ask(t *testing.T, client *http.Client, req *http.Request) {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.outcomes[res.Header.Get("X-Tether-Affinity")]++
	if m := regexp.MustCompile(`"cached_tokens":(\d+)`).FindSubmatch(text); m != nil && res.StatusCode == 200 {
		n, _ := strconv.ParseFloat(string(m[1]), 64)
		c.cached += n
	}
}

// The metrics of 200 requests of every outcome agree with what clients and servers saw.
func TestMetricsAgree(t *testing.T) {
	c := &tally{outcomes: map[string]float64{}, seen: map[string]float64{}}
	var sims []*sim.Server
	var urls []string
	for i := range 4 {
		name := fmt.Sprint("vllm-", i)
		server := sim.New(sim.Config{Name: name, OnRequest: func(q sim.Seen) {
			if q.Method == "POST" {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.seen[name]++
			}
		}})
		if _, err := server.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		sims, urls = append(sims, server), append(urls, server.URL())
	}
	s := startTether(t, func(cfg *config.Config) {
		cfg.Log.Access = "all"
		for i := range cfg.Upstreams {
			cfg.Upstreams[i].Name = fmt.Sprint("vllm-", i)
		}
	}, urls...)
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	chat := func(session, turn int, fault string) {
		words := strings.Repeat(fmt.Sprintf("conversation %d ", session), 20)
		body := fmt.Sprintf(`{"model":"tiny","max_tokens":2,"messages":[{"role":"user","content":"%s"},{"role":"user","content":"turn %d"}]}`, words, turn)
		c.ask(t, client, s.request("POST", "/v1/chat/completions", body, "X-Session-Id", fmt.Sprint("s-", session), "X-Sim-Fault", fault))
	}
	for session := range 30 {
		for turn := range 3 {
			chat(session, turn, "")
		}
	}
	for session := range 30 {
		chat(session, 3, []string{"reset", "503", "500"}[session%3])
	}
	for n := range 20 {
		c.ask(t, client, s.request("POST", "/v1/embeddings", fmt.Sprintf(`{"model":"tiny","input":"%d"}`, n)))
		c.ask(t, client, s.request("GET", []string{"/v1/models", "/nothing"}[n%2], ""))
	}
	sims[0].Kill()
	s.await(0, "down")
	for session := range 40 {
		chat(session, 4, "")
	}
	for _, outcome := range []string{"new", "pinned", "moved", "spilled", "none"} {
		if c.outcomes[outcome] == 0 {
			t.Errorf("no request was %s: %v", outcome, c.outcomes)
		}
	}
	text := s.awaitRequests(c.requests)
	if got := samples(text, "tether_requests_total", "outcome"); !maps.Equal(got, c.outcomes) {
		t.Errorf("metrics say %v, clients saw %v", got, c.outcomes)
	}
	attempts := samples(regexp.MustCompile(`.*result="(refused|unreachable)".*`).ReplaceAllString(text, ""), "tether_attempts_total", "upstream")
	if !maps.Equal(attempts, c.seen) {
		t.Errorf("metrics say %v, the servers saw %v", attempts, c.seen)
	}
	if got := samples(text, "tether_cached_prompt_tokens_total", "")[""]; got != c.cached || got == 0 {
		t.Errorf("metrics say %v cached tokens, the answers %v", got, c.cached)
	}
	s.stop(false)
	lines := map[string]float64{}
	for _, line := range s.logs.access.all(t) {
		lines[line["outcome"].(string)]++
	}
	if !maps.Equal(lines, c.outcomes) {
		t.Errorf("the access log says %v, clients saw %v", lines, c.outcomes)
	}
}

// A session id is counted as ignored if it is invalid, or if the request has a different one too.
func TestIgnoredSessionIDsAreCounted(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	s := startTether(t, nil, urls...)
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	// The last request uses the connection of the others, and so arrives after they were counted.
	for _, ids := range [][]string{{"fine"}, {"one", "another"}, {strings.Repeat("x", 300)}, {"fine"}} {
		req, _ := http.NewRequest("POST", "http://"+s.addr+"/v1/chat/completions", strings.NewReader(hello))
		req.Header = http.Header{"Content-Type": {"application/json"}, "X-Session-Id": ids}
		res, err := client.Do(req)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %v", res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	if want := "tether_session_ids_ignored_total 2\n"; !strings.Contains(s.text("/metrics"), want) {
		t.Errorf("no %s in the metrics", want)
	}
}

// A tether that finds out that it is one of several says so: in one line of its log, in a metric, and where operators ask.
func TestReplicasAreShown(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{})
	s := startTether(t, nil, urls...)
	s.await(0, "up")
	shown := func(want ...string) {
		t.Helper()
		text := get(t, "http://"+s.admin+"/metrics") + get(t, "http://"+s.admin+"/api/upstreams")
		res, err := http.Post("http://"+s.admin+"/api/where", "application/json", strings.NewReader(`{"id":"a","model":"tiny"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		where, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(text+string(where), w) {
				t.Errorf("no %s in\n%s\n%s", w, get(t, "http://"+s.admin+"/api/upstreams"), where)
			}
		}
		if strings.Contains(string(where), `"placement"`) != strings.Contains(want[0], "1") {
			t.Errorf("where: %s", where)
		}
	}
	shown("tether_replicas_suspected 0\n", `"placement":{"in_force":"load"}`)
	later := time.Now().Add(time.Hour)
	for range 100 {
		s.app.router.Replicas.Note(false, later)
	}
	shown("tether_replicas_suspected 1\n", `"placement":{"in_force":"home","why":"this tether seems to be one of several`, `"placement":"home: this tether seems to be one of several`)
	for range 1000 {
		s.app.router.Replicas.Note(true, later)
	}
	shown("tether_replicas_suspected 0\n", `"placement":{"in_force":"load"}`)
	lines := s.logs.FilterMessageSnippet("this tether seems to be").All()
	if len(lines) != 2 || lines[0].Level != zap.WarnLevel || lines[0].ContextMap()["placement"] != "home" || lines[1].ContextMap()["placement"] != "load" {
		t.Errorf("logged %v", lines)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
