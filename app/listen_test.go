package app

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"tether/config"
	"tether/sim"
)

func TestAdmin(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{Models: []string{"llama", "lora"}})
	s := startTether(t, nil, urls...)
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
		{"/api/upstreams/" + name + "/drain", 200, "up, draining, drained"},
		{"/api/upstreams/" + name + "/drain?hard=true", 200, "up, draining hard, drained"},
		{"/api/upstreams/" + name + "/undrain", 200, "up"},
		{"/api/upstreams/nobody/drain", 404, "up"},
		{"/api/nothing", 404, "up"},
	} {
		if got := command(c.path); got != c.status || s.upstreams()[0].State != c.state {
			t.Errorf("%s: %d, %s", c.path, got, s.upstreams()[0].State)
		}
	}
	text := s.awaitRequests(1)
	for _, want := range []string{
		`tether_requests_total{model="other",outcome="new",route="/v1/chat/completions",status="404"} 1`,
		`tether_upstream_up{upstream="` + name + `"} 1`, `tether_sessions 0`, `tether_build_info{goversion="`, `tether_attempts_total{result="answered",upstream="`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the metrics\n%s", want, text)
		}
	}
}

// With a token the guarded part wants it; health and metrics do not.
func TestAdminToken(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startTether(t, func(c *config.Config) { c.Admin.TokenFile = token }, urls...)
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

// On an address other than loopback and without a token, the guarded part is closed to every caller.
func TestAdminBeyondLoopback(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	s := startTether(t, func(c *config.Config) { c.Admin.Listen = "0.0.0.0:0" }, urls...)
	_, port, _ := net.SplitHostPort(s.admin)
	s.admin = "127.0.0.1:" + port
	if got := s.get("/healthz", nil); got != 200 {
		t.Error(got)
	}
	if got := s.get("/api/upstreams", nil); got != 403 {
		t.Errorf("the guarded part answered %d", got)
	}
}

// One line says which engine runs. It is a warning if that is not what the configuration wants, or if there are no loops.
func TestEngineInTheLog(t *testing.T) {
	refused := errors.New("uring: forbidden")
	for _, c := range []struct {
		want, engine string
		loops        int
		why          error
		level        zapcore.Level
		text         string
	}{
		{"auto", "uring", 2, nil, zap.InfoLevel, "event loops serve the clients without TLS"},
		{"auto", "epoll", 2, refused, zap.InfoLevel, "event loops serve the clients without TLS"},
		{"uring", "epoll", 2, refused, zap.WarnLevel, "event loops serve the clients without TLS"},
		{"auto", "go", 0, refused, zap.WarnLevel, "goroutines serve all clients"},
		{"go", "go", 0, nil, zap.InfoLevel, "goroutines serve all clients"},
	} {
		core, logs := observer.New(zap.DebugLevel)
		logEngine(zap.New(core), c.want, c.engine, c.loops, c.why)
		all := logs.All()
		if len(all) != 1 || all[0].Level != c.level || all[0].Message != c.text {
			t.Fatalf("%+v: %+v", c, all)
		}
		got := all[0].ContextMap()
		if _, said := got["error"]; got["engine"] != c.engine || said != (c.why != nil) || c.loops > 0 && got["loops"] != int64(c.loops) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
