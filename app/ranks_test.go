package app

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tether/config"
	"tether/sim"
)

// placed returns, for each session, the server and rank that received its requests, as the servers saw them. If there
// were several, it has all of them.
func placed(sims []*sim.Server) map[string]string {
	at := map[string]string{}
	for i, s := range sims {
		for _, seen := range s.Requests() {
			place := fmt.Sprintf("gpu-%d@%s", i, seen.Header.Get("X-Data-Parallel-Rank"))
			if seen.Session != "" && !strings.Contains(at[seen.Session], place) {
				at[seen.Session] = strings.TrimPrefix(at[seen.Session]+" "+place, " ")
			}
		}
	}
	return at
}

// serveRanks starts tether in front of two servers with four ranks each.
func serveRanks(t *testing.T) (*running, []*sim.Server) {
	t.Helper()
	sims, urls := startSims(t, 2, sim.Config{Ranks: 4, Record: 10_000})
	s := startTether(t, func(c *config.Config) {
		for i := range c.Upstreams {
			c.Upstreams[i].Name, c.Upstreams[i].DataParallelRanks = fmt.Sprintf("gpu-%d", i), 4
		}
	}, urls...)
	for i := range 8 {
		s.await(i, "up")
	}
	return s, sims
}

// states returns the states of all upstreams.
func (s *running) states() string {
	s.t.Helper()
	var states []string
	for _, u := range s.upstreams() {
		states = append(states, u.Name+" "+u.State)
	}
	return strings.Join(states, ", ")
}

// changes returns the log lines about changes of upstreams.
func (s *running) changes() (lines []string) {
	for _, e := range s.logs.FilterMessage("upstream changed").All() {
		f := e.ContextMap()
		lines = append(lines, fmt.Sprintf("%v %v: %v -> %v", f["upstream"], f["ranks"], f["from"], f["to"]))
	}
	return lines
}

// Two servers with four ranks each: conversations stay on their rank. A server dies, and the conversations of its ranks
// move, and no others.
func TestConversationsStayOnTheirRank(t *testing.T) {
	const sessions = 240
	s, sims := serveRanks(t)
	turns := func(n int, want func(i int) string) {
		t.Helper()
		each(sessions, 16, func(i int, client *http.Client) {
			got, err := s.turn(client, fmt.Sprint("s-", i), n, (i+n)%2 == 0)
			if err != nil || got.status != 200 || got.cut || got.outcome != want(i) {
				t.Errorf("session %d, turn %d: %+v, %v; want %s", i, n, got, err, want(i))
			}
		})
	}
	always := func(outcome string) func(int) string { return func(int) string { return outcome } }
	turns(0, always("new"))
	turns(1, always("pinned"))
	turns(2, always("pinned"))
	home := placed(sims)
	of := map[string]int{}
	for _, place := range home {
		of[place]++
	}
	if len(home) != sessions || len(of) != 8 {
		t.Fatalf("sessions by place: %v", of)
	}
	for _, u := range s.upstreams() {
		if u.Pins != of[u.Name] {
			t.Errorf("%s has %d pins, and served %d sessions", u.Name, u.Pins, of[u.Name])
		}
	}

	lines := len(s.changes())
	sims[0].Kill()
	s.await(0, "down")
	if got := s.states(); strings.Count(got, "down") != 4 || strings.Count(got, "up") != 4 || !strings.HasPrefix(got, "gpu-0@0 down, gpu-0@1 down, gpu-0@2 down, gpu-0@3 down, gpu-1@0 up") {
		t.Error(got)
	}
	if got := s.changes()[lines:]; !slices.Equal(got, []string{"gpu-0 4: up -> down"}) {
		t.Errorf("logged %q", got)
	}
	dead := func(i int) bool { return strings.HasPrefix(home[fmt.Sprint("s-", i)], "gpu-0@") }
	turns(3, func(i int) string {
		if dead(i) {
			return "moved"
		}
		return "pinned"
	})
	turns(4, always("pinned"))
	now := placed(sims)
	orphans := map[string]int{}
	for i := range sessions {
		id := fmt.Sprint("s-", i)
		switch to, moved := strings.CutPrefix(now[id], home[id]+" "); {
		case !dead(i) && now[id] != home[id], dead(i) && (!moved || !strings.HasPrefix(to, "gpu-1@") || strings.Contains(to, " ")):
			t.Errorf("session %d was at %s, and then at %s", i, home[id], now[id])
		case moved:
			orphans[to]++
		}
	}
	if len(orphans) != 4 {
		t.Errorf("the orphans went to %v", orphans)
	}
	metrics := s.text("/metrics")
	for _, want := range []string{
		`tether_upstream_up{upstream="gpu-0@3"} 0`, `tether_upstream_up{upstream="gpu-1@0"} 1`,
		`tether_upstream_changes_total{to="down",upstream="gpu-0@2"} 1`, `tether_probes_total{result="succeeded",upstream="gpu-1"} `,
		fmt.Sprintf(`tether_upstream_pins{upstream="gpu-1@1"} %d`, of["gpu-1@1"]+orphans["gpu-1@1"]),
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
}

var runningByRank = regexp.MustCompile(`vllm:num_requests_running\{engine="(\d)"[^}]*\} (\d+)\.0`)

// The requests in flight of each rank are those that run on the rank, as the servers count them.
func TestInFlightIsByRank(t *testing.T) {
	s, sims := serveRanks(t)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	inFlight := func() map[string]string {
		t.Helper()
		n := map[string]string{}
		for _, u := range s.upstreams() {
			n[u.Name] = fmt.Sprint(u.InFlight)
		}
		return n
	}
	const streams = 24
	for i := range streams {
		res, err := s.ask(client, fmt.Sprint("s-", i), 0, true, "stall=2")
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %v", res, err)
		}
		defer res.Body.Close()
		if _, err := io.ReadFull(res.Body, make([]byte, len("data: {"))); err != nil {
			t.Fatal(err)
		}
	}
	ran := map[string]string{}
	for i, one := range sims {
		res, err := http.Get(one.URL() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range runningByRank.FindAllStringSubmatch(string(text), -1) {
			ran[fmt.Sprintf("gpu-%d@%s", i, m[1])] = m[2]
		}
	}
	if got := inFlight(); len(ran) != 8 || fmt.Sprint(got) != fmt.Sprint(ran) {
		t.Errorf("in flight %v, running %v", got, ran)
	}
	if sims[0].Load().Running+sims[1].Load().Running != streams {
		t.Errorf("%d and %d run, want %d", sims[0].Load().Running, sims[1].Load().Running, streams)
	}
}

// Operators see ranks by name, and drain one rank, or a server with all of its ranks. Each command makes one line in the
// log.
func TestOperatorsAndRanks(t *testing.T) {
	s, _ := serveRanks(t)
	lines := len(s.changes())
	up := "gpu-0@0 up, gpu-0@1 up, gpu-0@2 up, gpu-0@3 up, gpu-1@0 up, gpu-1@1 up, gpu-1@2 up, gpu-1@3 up"
	for _, c := range []struct {
		path   string
		status int
		shown  int // upstreams in the answer
		want   []string
		line   string
	}{
		{"gpu-0@3/drain", 200, 1, []string{"gpu-0@3 up, draining, drained"}, "gpu-0@3 <nil>: up -> up, draining"},
		{"gpu-1%403/drain?hard=true", 200, 1, []string{"gpu-0@3 up, draining, drained", "gpu-1@3 up, draining hard, drained"}, "gpu-1@3 <nil>: up -> up, draining hard"},
		{"gpu-0/drain", 200, 4, []string{"gpu-0@0 up, draining, drained", "gpu-0@1 up, draining, drained", "gpu-0@2 up, draining, drained", "gpu-0@3 up, draining, drained", "gpu-1@3 up, draining hard, drained"}, "gpu-0 3: up -> up, draining"},
		{"gpu-0/undrain", 200, 4, []string{"gpu-1@3 up, draining hard, drained"}, "gpu-0 4: up, draining -> up"},
		{"gpu-1@3/undrain", 200, 1, nil, "gpu-1@3 <nil>: up, draining hard -> up"},
		{"gpu-1@4/drain", 404, 0, nil, ""},
		{"gpu-2/drain", 404, 0, nil, ""},
		{"gpu-1@/drain", 404, 0, nil, ""},
	} {
		text := s.operator(c.status, "POST", "/api/upstreams/"+c.path, "")
		if got := strings.Count(text, `"in_flight"`); got != c.shown {
			t.Errorf("%s: %d upstreams in %s", c.path, got, text)
		}
		want := up
		for _, state := range c.want {
			name, _, _ := strings.Cut(state, " ")
			want = strings.Replace(want, name+" up", state, 1)
		}
		if got := s.states(); got != want {
			t.Errorf("%s: %s\nwant %s", c.path, got, want)
		}
		got := s.changes()[lines:]
		if c.line == "" && len(got) > 0 || c.line != "" && !slices.Equal(got, []string{c.line}) {
			t.Errorf("%s: logged %q, want %q", c.path, got, c.line)
		}
		lines += len(got)
	}
	w := (&guided{running: s}).where("/api/where", []byte(`{"id":"alice","model":"tiny"}`))
	if len(w.Places) != 1 || len(w.Places[0].Walk) != 8 || !strings.Contains(up, w.Places[0].Home+" up") || !strings.Contains(w.Places[0].Home, "@") {
		t.Errorf("%+v", w)
	}
}
