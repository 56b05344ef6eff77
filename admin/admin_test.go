package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tether/session"
	"tether/session/fates"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/status"
	"tether/upstream"
	"tether/upstream/models"
	"tether/upstream/transport"
)

// net/http lets a client read a 431 for half a second before it closes the connection, and waits for nothing meanwhile.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// patience limits every wait of these tests. No wait should need it.
const patience = 20 * time.Second

// operated is a running admin listener and an operator who uses it.
type operated struct {
	t        *testing.T
	registry *upstream.Registry
	ready    bool
	changed  func(upstream.Change)
	server   *Server
	status   *status.Collector
	addr     string // on loopback, wherever the server listens
	client   http.Client
}

const (
	loopbackOnly = "127.0.0.1:0"
	everywhere   = "0.0.0.0:0"
)

// operate serves upstreams with these names.
func operate(t *testing.T, listen, token string, names ...string) *operated {
	t.Helper()
	o := &operated{t: t, ready: true, changed: func(upstream.Change) {}}
	o.registry = upstream.NewRegistry(func(c upstream.Change) { o.changed(c) })
	specs := make([]upstream.Spec, len(names))
	for i, name := range names {
		specs[i] = upstream.Spec{Name: name, Address: transport.Address{Network: "tcp", Dial: "10.9.8.7:1"}, Slot: i, Weight: 100}
	}
	if _, err := o.registry.Apply(specs); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	d := depsOf(t, o.registry, token)
	d.Ready = func() bool { return o.ready }
	d.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "tether_sessions 0\n") })
	o.server, o.status = NewServer(l.Addr(), d), d.Status
	o.changed = d.Status.Changed
	_, port, _ := net.SplitHostPort(l.Addr().String())
	o.addr = "127.0.0.1:" + port
	o.client = http.Client{
		Timeout: patience, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		o.client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return o
}

// reply is an answer that was read to its end.
type reply struct {
	*http.Response
	body string
}

// ask sends a request with the given header lines, "Name: value".
func (o *operated) ask(method, path string, header ...string) reply {
	o.t.Helper()
	r, err := http.NewRequest(method, "http://"+o.addr+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	res, err := o.client.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return reply{Response: res, body: string(body)}
}

// wantError checks that r is an error in JSON.
func (o *operated) wantError(r reply, status int) {
	o.t.Helper()
	var e struct {
		Error struct {
			Message string
			Code    int
		}
	}
	err := json.Unmarshal([]byte(r.body), &e)
	if r.StatusCode != status || r.Header.Get("Content-Type") != "application/json" || err != nil || e.Error.Code != status || e.Error.Message == "" {
		o.t.Errorf("%s %s: %d %q, want %d in JSON", r.Request.Method, r.Request.URL.RequestURI(), r.StatusCode, r.body, status)
	}
}

func (o *operated) wantState(want string) {
	o.t.Helper()
	if got := o.registry.Table().Members[0].State().Words(); got != want {
		o.t.Errorf("the upstream is %s, want %s", got, want)
	}
}

// rig is an admin server without a listener, over upstreams without servers.
type rig struct {
	t      *testing.T
	server *Server
	router *session.Router
	ids    *identity.Identifier
	pins   *pins.Map
	up     map[string]*upstream.Upstream
}

func newRig(t *testing.T) *rig {
	t.Helper()
	registry := upstream.NewRegistry(nil)
	var specs []upstream.Spec
	for i := range 3 {
		specs = append(specs, upstream.Spec{
			Name: fmt.Sprintf("vllm-%d", i), Address: transport.Address{Network: "tcp", Dial: fmt.Sprintf("10.9.8.7:%d", i+1)}, Slot: i, Weight: 100,
		})
	}
	if _, err := registry.Apply(specs); err != nil {
		t.Fatal(err)
	}
	d := depsOf(t, registry, "")
	r := &rig{t: t, pins: d.Pins, router: d.Guide.Router, ids: d.Guide.Identifier(), up: map[string]*upstream.Upstream{}}
	for _, m := range registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
		m.SetModels(models.New([]models.Model{{ID: "a"}, {ID: "b"}}))
		r.up[m.Name()] = m.Upstream
	}
	r.server = NewServer(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, d)
	return r
}

// depsOf returns the parts of a server over the registry's upstreams. Its guide refuses every request.
func depsOf(t *testing.T, registry *upstream.Registry, token string) Deps {
	t.Helper()
	cfg := identity.Default()
	sessions := pins.NewMap(1000, time.Hour)
	router := session.NewRouter(session.Default(), sessions, pins.NewMap(1000, session.ResponsesTTL), prefill.New(prefill.Default()), rand.IntN)
	if err := router.Use(registry.Table(), nil); err != nil {
		t.Fatal(err)
	}
	ids, err := identity.NewIdentifier(&cfg, &identity.Models{Aliases: map[string]string{"alias": "a"}}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	seen := status.New(status.Deps{
		Registry: registry, Router: router, Pins: sessions, Fates: fates.NewTally(), Clients: func() (int, int64) { return 0, 0 },
	})
	return Deps{
		Status: seen, Registry: registry, Pins: sessions, Ready: func() bool { return true }, Metrics: http.NotFoundHandler(),
		Guide: Guide{Router: router, Identifier: func() *identity.Identifier { return ids }, Read: func([]byte) session.Reading { return session.Reading{Status: 400, Refused: "test"} }},
		Settings: func() Settings {
			return Settings{Token: token, MaxRequest: 100, DrainIdle: time.Minute, NeedRestart: func(fixed map[string]string) []string { return slices.Sorted(maps.Keys(fixed)) }}
		},
	}
}

// pin pins the session under the model.
func (r *rig) pin(id, model string, u *upstream.Upstream) identity.Key {
	k := r.ids.Key([]byte(model), []byte(id))
	r.pins.Bind(k, u.Ref(), false, time.Now())
	r.pins.Confirm(k, u.Ref(), u.Ref(), false, time.Now())
	return k
}

// do sends a request, and checks that the answer is JSON and that an error repeats its status.
func (r *rig) do(method, target, body string) (status int, text string) {
	r.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Host = "localhost"
	w := httptest.NewRecorder()
	r.server.http.Handler.ServeHTTP(w, req)
	var answer struct {
		Error struct {
			Message string
			Code    int
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Header().Get("Content-Type") != "application/json" {
		r.t.Errorf("%s %.60s: %d %q is no JSON", method, target, w.Code, w.Body)
	}
	if w.Code >= 400 && (answer.Error.Code != w.Code || answer.Error.Message == "") {
		r.t.Errorf("%s %.60s: %d %s", method, target, w.Code, w.Body)
	}
	return w.Code, w.Body.String()
}

// routes are all routes, whether they are guarded, and their status for an admitted request without a body while no
// session has a pin.
var routes = []struct {
	method, path string
	guarded      bool
	status       int
}{
	{"GET", "/healthz", false, 200},
	{"GET", "/readyz", false, 200},
	{"GET", "/metrics", false, 200},
	{"GET", "/api/upstreams", true, 200},
	{"POST", "/api/upstreams/vllm-0/drain", true, 200},
	{"POST", "/api/upstreams/vllm-0/drain?hard=true", true, 200},
	{"POST", "/api/upstreams/vllm-0/undrain", true, 200},
	{"GET", "/api/discovery", true, 200},
	{"POST", "/api/reload", true, 409},
	{"POST", "/api/preview", true, 400},
	{"GET", "/api/sessions/s", true, 404},
	{"DELETE", "/api/sessions/s", true, 404},
	{"POST", "/api/sessions/s/move?to=vllm-0", true, 404},
	{"POST", "/api/where", true, 400},
	{"POST", "/api/where/request", true, 200},
	{"GET", "/debug/pprof/", true, 200},
	{"GET", "/debug/pprof/goroutine?debug=1", true, 200},
	{"GET", "/debug/pprof/profile?seconds=1", true, 200},
	{"GET", "/debug/pprof/symbol", true, 200},
	{"GET", "/debug/pprof/trace?seconds=0.01", true, 200},
}

func TestRoutes(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	if !o.server.Open() {
		t.Error("not open on loopback without a token")
	}
	for _, c := range routes {
		if r := o.ask(c.method, c.path); r.StatusCode != c.status || strings.Contains(r.body, "10.9.8.7") {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.StatusCode, r.body)
		}
	}
	if r := o.ask("GET", "/metrics"); r.body != "tether_sessions 0\n" {
		t.Errorf("metrics %q", r.body)
	}
	if r := o.ask("GET", "/readyz"); r.body != `{"status":"ready"}`+"\n" {
		t.Errorf("ready %q", r.body)
	}
	o.ready = false
	if r := o.ask("GET", "/readyz"); r.StatusCode != 503 || r.body != `{"status":"not ready"}`+"\n" {
		t.Errorf("not ready %d %q", r.StatusCode, r.body)
	}
	if r := o.ask("GET", "/healthz"); r.StatusCode != 200 || r.body != `{"status":"alive"}`+"\n" {
		t.Errorf("alive %d %q", r.StatusCode, r.body)
	}
}
