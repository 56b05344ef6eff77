package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/admin"
	"tether/config"
	"tether/sim"
	"tether/tlsfiles/tlstest"
)

// configured is a tether with a configuration in a file.
type configured struct {
	*running
	file   string
	urls   []string
	hangUp chan struct{}
}

// startConfigured starts a tether in front of servers named vllm-0 and so on. more is the rest of its configuration.
func startConfigured(t testing.TB, more string, urls ...string) *configured {
	t.Helper()
	c := &configured{file: filepath.Join(t.TempDir(), "config.yaml"), urls: urls, hangUp: make(chan struct{}, 1)}
	c.write(t, more, urls...)
	load := func() (*config.Config, error) { return config.Load(config.Source{File: c.file, Memory: 4 << 30}) }
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	logs := newLogbook()
	env := logs.env()
	env.Load, env.HangUp = load, c.hangUp
	c.running = startWith(t, cfg, logs, env)
	return c
}

// write writes the file.
func (c *configured) write(t testing.TB, more string, urls ...string) {
	t.Helper()
	text := "listen: 127.0.0.1:0\nadmin: {listen: \"127.0.0.1:0\"}\nhealth: {interval: 100ms}\n" + more + "\nupstreams:\n"
	for i, u := range urls {
		text += fmt.Sprintf("  - {name: vllm-%d, url: %q}\n", i, u)
	}
	if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reload asks the admin listener for a reload.
func (c *configured) reload() (status int, done admin.Reloaded, problem string) {
	c.t.Helper()
	res, err := http.Post("http://"+c.admin+"/api/reload", "", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		admin.Reloaded
		Error struct{ Message string }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, answer.Reloaded, answer.Error.Message
}

// A changed file, a link that points elsewhere and SIGHUP each bring a configuration into force.
func TestReloads(t *testing.T) {
	_, urls := startSims(t, 3, sim.Config{})
	c := startConfigured(t, "", urls[0])
	c.await(0, "up")
	reloaded := func(n, upstreams int) {
		t.Helper()
		c.logs.await(t, "reload", func() bool { return c.logs.FilterMessage("configuration reloaded").Len() == n })
		if got := len(c.upstreams()); got != upstreams {
			t.Errorf("%d upstreams, want %d", got, upstreams)
		}
	}
	c.write(t, "", urls[:2]...)
	reloaded(1, 2)
	// Kubernetes replaces the link to a folder.
	dir := filepath.Dir(c.file)
	other := filepath.Join(dir, "other.yaml")
	text, err := os.ReadFile(c.file)
	if err == nil {
		err = errors.Join(os.WriteFile(other, append(text, fmt.Sprintf("  - {name: vllm-2, url: %q}\n", urls[2])...), 0o600),
			os.Symlink(other, filepath.Join(dir, "link")), os.Rename(filepath.Join(dir, "link"), c.file))
	}
	if err != nil {
		t.Fatal(err)
	}
	reloaded(2, 3)
	c.hangUp <- struct{}{}
	reloaded(3, 3)
	if text := c.text("/metrics"); !strings.Contains(text, `tether_config_reloads_total{result="ok"} 3`) || !strings.Contains(text, "tether_config_last_reload_successful 1") {
		t.Errorf("the metrics do not show the reloads")
	}
}

// A configuration that is no good changes nothing. Each problem is logged with its place, once.
func TestBadConfiguration(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	c := startConfigured(t, "", urls...)
	c.await(0, "up")
	before := c.app.settings.Load()
	c.write(t, "proxy: {max_attempts: 0}\nlistne: x", urls...)
	c.logs.await(t, "problems", func() bool {
		return c.logs.FilterMessage("configuration not reloaded, the previous one stays in force").Len() == 2
	})
	status, _, problem := c.reload()
	want := c.file + ":4: proxy.max_attempts: 0, want 1..16\n" + c.file + ":5: listne: unknown key, did you mean listen?"
	if status != 422 || problem != want {
		t.Errorf("%d, %q, want %q", status, problem, want)
	}
	if log := c.logs.text(); !strings.Contains(log, ":4: proxy.max_attempts: 0, want 1..16") {
		t.Errorf("the log has no place:\n%s", log)
	}
	if c.app.settings.Load() != before {
		t.Error("the settings changed")
	}
	if text := c.text("/metrics"); !strings.Contains(text, "tether_config_last_reload_successful 0") {
		t.Error("the metric says that the configuration is good")
	}
	if err := os.Remove(c.file); err != nil {
		t.Fatal(err)
	}
	if status, _, problem := c.reload(); status != 422 || !strings.Contains(problem, "cannot read the configuration: no such file or directory") {
		t.Errorf("%d, %q", status, problem)
	}
	c.write(t, "", urls...)
	if status, done, _ := c.reload(); status != 200 || len(done.Changed) > 0 {
		t.Errorf("%d, %+v", status, done)
	}
	if text := c.text("/metrics"); !strings.Contains(text, "tether_config_last_reload_successful 1") {
		t.Error("the metric says that the configuration is bad")
	}
}

// Keys of every part change while tether runs. Those of the listeners' addresses say that they need a restart.
func TestKeysThatChange(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	authority := tlstest.NewAuthority(t)
	pair := authority.Issue(time.Hour, "localhost")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startConfigured(t, "", urls...)
	c.await(0, "up")
	c.write(t, fmt.Sprintf("tls: {cert: %q, key: %q}\nauth: {keys_file: %q}\nlog: {access: all}\nproxy: {client_write_timeout: 7s, expose_upstream: true}\nsession: {ttl: 2h, return: home}",
		pair.Cert, pair.Key, keysFile(t, "alice", "key-1")), urls...)
	text, err := os.ReadFile(c.file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), `admin: {listen: "127.0.0.1:0"}`, fmt.Sprintf("admin: {listen: \":9\", token_file: %q}", token), 1))
	if err := os.WriteFile(c.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	status, done, problem := c.reload()
	if status != 200 || !slices.Equal(done.NeedRestart, []string{"admin.listen"}) {
		t.Fatalf("%d, %+v, %s", status, done, problem)
	}
	for _, key := range []string{"tls.cert", "auth.keys_file", "log.access", "proxy.client_write_timeout", "session.ttl", "admin.token_file", "content of admin.token_file"} {
		if !slices.Contains(done.Changed, key) {
			t.Errorf("%s is not among the changed keys %q", key, done.Changed)
		}
	}
	if line := c.logs.FilterMessageSnippet("cannot change while tether runs"); line.Len() != 1 || line.All()[0].ContextMap()["key"] != "admin.listen" {
		t.Errorf("%v", line.All())
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool, ServerName: "localhost"}}}
	defer client.CloseIdleConnections()
	req := c.request("POST", "/v1/chat/completions", hello, "X-Api-Key", "key-1")
	req.URL.Scheme = "https"
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("X-Tether-Upstream") != "vllm-0" {
		t.Errorf("%s, %v", res.Status, res.Header)
	}
	if res, err = http.Get("http://" + c.addr + "/v1/models"); err != nil || res.StatusCode != 400 {
		t.Errorf("%v, %v without TLS", res, err)
	} else {
		res.Body.Close()
	}
	if status := c.get("/api/upstreams", nil); status != 401 {
		t.Errorf("%d without the token", status)
	}
	if text := c.text("/metrics"); !strings.Contains(text, `tether_certificate_expires_timestamp_seconds{of="listener"}`) || !strings.Contains(text, "tether_api_keys 1") {
		t.Error("the metrics lack the certificate or the key")
	}
	if ttl := c.app.pins.TTL(); ttl != 2*time.Hour {
		t.Errorf("pins live %v", ttl)
	}
	http.DefaultClient.CloseIdleConnections()
	c.stop(false)
	if lines := c.logs.access.all(t); len(lines) == 0 || lines[0]["key"] != "alice" {
		t.Errorf("the access log has %v", lines)
	}
}

// A hundred reloads a second become a few, all of them answered, and no request fails.
func TestReloadStorm(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{DecodePerToken: time.Millisecond})
	c := startConfigured(t, "", urls...)
	c.await(0, "up")
	c.await(1, "up")
	l := converse(c.running, 4)
	began := time.Now()
	const asked = 200
	var all sync.WaitGroup
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range asked {
		c.write(t, fmt.Sprintf("session: {ttl: %dm}", 1+i%7), urls[:1+i%2]...)
		all.Go(func() {
			if _, err := c.app.reloader.ask(t.Context()); err != nil && !strings.Contains(err.Error(), "upstreams: none") && !strings.Contains(err.Error(), "YAML") {
				t.Error(err)
			}
		})
		<-tick.C
	}
	all.Wait()
	took := time.Since(began)
	n := samples(c.text("/metrics"), "tether_config_reloads_total", "")[""]
	if most := float64(took/reloadPause) + 2; n > most || n < 2 {
		t.Errorf("%v reloads in %v, want 2..%v", n, took, most)
	}
	l.goOn(2)
	for i := range l.moves { // the second server came and went
		delete(l.moves, i)
	}
	l.end()
}

// Those who wait for a reload at the shutdown are told so, and so are those who are too many.
func TestReloadsThatAreRefused(t *testing.T) {
	r := newReloads()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, maxWaiting)
	for range maxWaiting {
		go func() {
			_, err := r.ask(ctx)
			got <- err
		}()
	}
	waiting := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.waiting)
	}
	for deadline := time.Now().Add(patience); waiting() < maxWaiting; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("they do not wait")
		}
	}
	if _, err := r.ask(ctx); err != errTooMany {
		t.Error(err)
	}
	r.stop()
	for range maxWaiting {
		if err := <-got; err != errStopping {
			t.Fatal(err)
		}
	}
	if _, err := r.ask(ctx); err != errStopping {
		t.Error(err)
	}
	cancel()
}
