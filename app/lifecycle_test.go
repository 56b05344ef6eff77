package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tether/config"
	"tether/sim"
	"tether/sim/fault"
)

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

// SIGTERM: not ready any more, but serving on with Connection: close; then no new connections; what is in flight
// finishes; then the end.
func TestShutdownInGoodOrder(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	s := serve(t, func(c *config.Config) { c.Proxy.ShutdownDelay = 400 * time.Millisecond }, urls...)
	if res, _, err := post(t, s.addr, hello); err != nil || res.StatusCode != 200 || res.Close {
		t.Fatalf("%v, %v", res, err)
	}
	s.ready(true) // no request is sent on before
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang, Times: 1}); err != nil {
		t.Fatal(err)
	}
	inFlight := make(chan error, 1)
	go func() {
		res, _, err := post(t, s.addr, hello)
		if err == nil && res.StatusCode != 200 {
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		inFlight <- err
	}()
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	ended := make(chan struct{})
	go func() { s.stop(true); close(ended) }()
	s.logs.awaitLine(t, "shutting down: not ready any more, still serving")
	s.ready(false)
	if res, _, err := post(t, s.addr, hello); err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("during the delay: %v, %v", res, err)
	}
	s.logs.awaitLine(t, "shutting down: requests in flight may finish")
	if c, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("a new connection after the delay")
		c.Close()
	}
	s.ready(false)
	if took := time.Since(started); took < 400*time.Millisecond {
		t.Errorf("no new connections after %v", took)
	}
	select {
	case <-ended:
		t.Fatal("ended with a request in flight")
	default:
	}
	sims[0].ClearFaults()
	if err := <-inFlight; err != nil {
		t.Errorf("what was in flight failed: %v", err)
	}
	<-ended
}

// ready wants /readyz to say so.
func (s *running) ready(want bool) {
	s.t.Helper()
	if got, status := s.get("/readyz", nil), map[bool]int{true: 200, false: 503}[want]; got != status {
		s.t.Errorf("/readyz says %d, want %d", got, status)
	}
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	s := serve(t, nil, urls...)
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, _, err := post(t, s.addr, hello)
		failed <- err
	}()
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { s.stop(false); close(ended) }()
	s.logs.awaitLine(t, "shutting down: requests in flight may finish")
	s.kill()
	if err := <-failed; err == nil {
		t.Error("a request was answered that nobody had answered")
	}
	<-ended
}

func TestShutdownTimeout(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	s := serve(t, func(c *config.Config) { c.Proxy.ShutdownTimeout = 50 * time.Millisecond }, urls...)
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	go post(t, s.addr, hello)
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	s.stop(false)
	if got := s.logs.FilterMessage("connections cut at shutdown").Len(); got != 1 {
		t.Errorf("%d such lines", got)
	}
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Requests == 0 }); err != nil {
		t.Error("the engine works on")
	}
}

func TestFirstLinesAndChanges(t *testing.T) {
	sims, urls := startSims(t, 2, sim.Config{})
	s := serve(t, func(c *config.Config) { c.Upstreams[1].APIKey = "sk" }, urls...)
	s.await(0, "up")
	s.await(1, "up")
	sims[1].Kill()
	s.await(1, "down")
	s.stop(false)
	var text strings.Builder
	for _, e := range s.logs.All() {
		fmt.Fprintf(&text, "%s %v\n", e.Message, e.ContextMap())
	}
	for _, want := range []string{
		"listening for clients map[address:127.0.0.1:", "open_to:this host, without API keys",
		"listening for operators map[address:127.0.0.1:", "open_to:loopback, without a token: admin.token_file closes it",
		"upstreams' keys are sent for clients that have none: they keep nobody out who can connect here map[upstreams:1]",
		"no session secret", "session map map[pins:100000", "ring map[affinity:true digest:",
		"from:unknown reason:probe succeeded to:up", "from:up reason:probe could not connect to:down",
		"stopped",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if n := s.logs.FilterMessage("upstream changed").Len(); n != 3 {
		t.Errorf("%d changes logged, want 3", n)
	}
}

func TestAdmin(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{Models: []string{"llama", "lora"}})
	s := serve(t, nil, urls...)
	s.await(0, "up")
	s.await(1, "up")
	if got := s.get("/healthz", nil); got != 200 {
		t.Error(got)
	}
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	first, err := s.turn(client, "s", 0, false)
	if err != nil || first.status != 404 { // the model is tiny
		t.Fatalf("%+v, %v", first, err)
	}
	views := s.upstreams()
	if len(views) != 2 || len(views[0].Models) != 2 || views[0].Models[1] != "lora" || strings.Contains(views[0].State, "127") {
		t.Errorf("%+v", views)
	}
	command := func(path string) int {
		t.Helper()
		res, err := client.Post("http://"+s.admin+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	name := views[0].Name
	for _, c := range []struct {
		path   string
		status int
		state  string
	}{
		{"/api/upstreams/" + name + "/drain", 200, "up, draining"},
		{"/api/upstreams/" + name + "/drain?hard=true", 200, "up, draining hard"},
		{"/api/upstreams/" + name + "/undrain", 200, "up"},
		{"/api/upstreams/nobody/drain", 404, "up"},
		{"/api/nothing", 404, "up"},
	} {
		if got := command(c.path); got != c.status || s.upstreams()[0].State != c.state {
			t.Errorf("%s: %d, %s", c.path, got, s.upstreams()[0].State)
		}
	}
	text := s.text("/metrics")
	for _, want := range []string{
		`tether_requests_total{model="other",outcome="new",route="/v1/chat/completions",status="404"} 1`,
		`tether_upstream_up{upstream="` + name + `"} 1`, `tether_sessions 0`, `tether_build_info{goversion="`, `tether_attempts_total{result="answered",upstream="`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the metrics\n%s", want, text)
		}
	}
}

// A session id that is no valid one, or that comes with a different one, is counted.
func TestIgnoredSessionIDsAreCounted(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	s := serve(t, nil, urls...)
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	// The last one comes over the connection of the others, and so after they were counted.
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

// text is what the admin listener answers.
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

// With a token the guarded part wants it; health and metrics do not.
func TestAdminToken(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, func(c *config.Config) { c.Admin.TokenFile = token }, urls...)
	ask := func(path, authorization string) int {
		t.Helper()
		req, _ := http.NewRequest("GET", "http://"+s.admin+path, nil)
		req.Header.Set("Authorization", authorization)
		req.Close = true
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for _, c := range []struct {
		path, authorization string
		want                int
	}{
		{"/healthz", "", 200},
		{"/metrics", "", 200},
		{"/api/upstreams", "", 401},
		{"/api/upstreams", "Bearer wrong", 401},
		{"/api/upstreams", "Bearer secret", 200},
		{"/debug/pprof/", "", 401},
		{"/debug/pprof/", "Bearer secret", 200},
	} {
		if got := ask(c.path, c.authorization); got != c.want {
			t.Errorf("%s with %q: %d, want %d", c.path, c.authorization, got, c.want)
		}
	}
}

// On another address than loopback and without a token, the guarded part is closed to everybody.
func TestAdminBeyondLoopback(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	s := serve(t, func(c *config.Config) { c.Admin.Listen = "0.0.0.0:0" }, urls...)
	_, port, _ := net.SplitHostPort(s.admin)
	s.admin = "127.0.0.1:" + port
	if got := s.get("/healthz", nil); got != 200 {
		t.Error(got)
	}
	if got := s.get("/api/upstreams", nil); got != 403 {
		t.Errorf("the guarded part answered %d", got)
	}
}
