package admin

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tether/upstream"
	"tether/upstream/models"
	"tether/upstream/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; none is expected to take it.
const patience = 20 * time.Second

// operated is a listener, and an operator before it.
type operated struct {
	t        *testing.T
	registry *upstream.Registry
	ready    bool
	server   *Server
	addr     string // on loopback, wherever it listens
	client   http.Client
}

const (
	loopbackOnly = "127.0.0.1:0"
	everywhere   = "0.0.0.0:0"
)

// operate serves upstreams of these names.
func operate(t *testing.T, listen, token string, names ...string) *operated {
	t.Helper()
	o := &operated{t: t, registry: upstream.NewRegistry(nil), ready: true}
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
	o.server = NewServer(l.Addr(), d)
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

// routes are all of them, whether they are guarded, and what they answer to a request without a body that may come in.
// No session has a pin.
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

// allowed are the methods that the routes take for the path, as Allow lists them.
func allowed(path string) string {
	var methods []string
	for _, c := range routes {
		if c.path != path {
			continue
		}
		if methods = append(methods, c.method); c.method == "GET" {
			methods = append(methods, "HEAD")
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
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

func TestErrorsAreJSON(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	for _, c := range routes {
		for _, wrong := range []string{"GET", "POST", "PUT"} {
			allow := allowed(c.path)
			if strings.Contains(allow, wrong) {
				continue
			}
			r := o.ask(wrong, c.path)
			if o.wantError(r, 405); r.Header.Get("Allow") != allow {
				t.Errorf("%s: Allow: %q, want %q", c.path, r.Header.Get("Allow"), allow)
			}
		}
	}
	for _, path := range []string{"/", "/nothing", "/api/", "/api/upstreams/", "/api/upstreams/vllm-0", "/api/upstreams/nobody/drain/", "/api/sessions/", "/debug/", "//nothing"} {
		o.wantError(o.ask("GET", path), 404)
	}
	o.wantError(o.ask("POST", "/api/upstreams/nobody/drain"), 404)
	o.wantError(o.ask("POST", "/api/upstreams/nobody/undrain"), 404)
	o.wantState("unknown")
}

func TestDrain(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0", "vllm-1")
	for _, c := range []struct{ path, state string }{
		{"vllm-0/drain", "unknown, draining"},
		{"vllm-1/drain?hard=true", "unknown, draining"},
		{"vllm-0/drain?hard=true", "unknown, draining hard"},
		{"vllm-0/drain?hard=false", "unknown, draining"},
		{"vllm-1/undrain", "unknown, draining"},
		{"vllm-0/undrain", "unknown"},
	} {
		var view upstreamView
		r := o.ask("POST", "/api/upstreams/"+c.path)
		if err := json.Unmarshal([]byte(r.body), &view); err != nil || r.StatusCode != 200 || !strings.HasPrefix(c.path, view.Name+"/") {
			t.Errorf("%s: %d %s", c.path, r.StatusCode, r.body)
		}
		o.wantState(c.state)
	}
}

func TestUpstreams(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0", "vllm-1")
	u := o.registry.Table().Members[1].Upstream
	u.SetHealth(upstream.Up, "probe succeeded")
	u.SetModels(models.New([]models.Model{{ID: "llama"}}))
	u.Begin()
	defer u.End()
	var list struct{ Upstreams []upstreamView }
	if err := json.Unmarshal([]byte(o.ask("GET", "/api/upstreams").body), &list); err != nil || len(list.Upstreams) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	v := list.Upstreams[1]
	if v.Since.IsZero() || time.Since(v.Since) > patience {
		t.Errorf("since %v", v.Since)
	}
	if v.Name != "vllm-1" || v.State != "up" || v.Reason != "probe succeeded" || v.Slot != 1 || v.Weight != 100 || v.InFlight != 1 || v.Pins != 0 || !slices.Equal(v.Models, []string{"llama"}) {
		t.Errorf("%+v", v)
	}
}

// A name comes from the configuration, and can hold what means something in paths, JSON and HTML.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		`<script>alert(1)</script>`, `a"},{"name":"b`, "unix:/run//vllm.sock", "..", ".", "%2F", "a b", "a?hard=true#x", "ü\u2028\r\n", "[fd00::1]:8000@3",
	} {
		t.Run(name, func(t *testing.T) {
			o := operate(t, loopbackOnly, "", name)
			r := o.ask("GET", "/api/upstreams")
			var list struct{ Upstreams []upstreamView }
			if err := json.Unmarshal([]byte(r.body), &list); err != nil || len(list.Upstreams) != 1 || list.Upstreams[0].Name != name {
				t.Errorf("%s, %v", r.body, err)
			}
			if strings.ContainsAny(r.body, "<>\u2028") || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("not escaped: %s", r.body)
			}
			escaped := strings.ReplaceAll(url.PathEscape(name), ".", "%2E")
			if r := o.ask("POST", "/api/upstreams/"+escaped+"/drain"); r.StatusCode != 200 || strings.ContainsAny(r.body, "<>\u2028") {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			o.wantState("unknown, draining")
		})
	}
}

// With a token the guarded part wants it, wherever it listens; health and metrics never do.
func TestToken(t *testing.T) {
	for _, listen := range []string{loopbackOnly, everywhere} {
		o := operate(t, listen, "secret", "vllm-0")
		if o.server.Open() {
			t.Errorf("%s: open with a token", listen)
		}
		for _, c := range routes {
			for authorization, right := range map[string]bool{
				"": false, "Bearer wrong": false, "Bearer": false, "Bearer ": false, "secret": false, "Basic secret": false, "Bearer secre": false,
				"Bearer secretx": false, "Bearer Secret": false, "Bearersecret": false, "Bearer x secret": false,
				"Bearer secret": true, "bearer secret": true, "BEARER  secret": true,
			} {
				if right && strings.Contains(c.path, "profile") {
					continue // takes a second
				}
				r := o.ask(c.method, c.path, "Authorization: "+authorization)
				switch {
				case right || !c.guarded:
					if r.StatusCode != c.status {
						t.Errorf("%s %s with %q: %d", c.method, c.path, authorization, r.StatusCode)
					}
				case r.Header.Get("WWW-Authenticate") != "Bearer":
					t.Errorf("%s %s: no challenge", c.method, c.path)
					fallthrough
				default:
					o.wantError(r, 401)
				}
			}
		}
		// A name that others choose reads nothing without the token, so it may be any.
		if r := o.ask("GET", "/api/upstreams", "Authorization: Bearer secret", "Host: tether.example"); r.StatusCode != 200 {
			t.Errorf("by another name: %d", r.StatusCode)
		}
	}
}

// On another address than loopback and without a token, the guarded part is closed to everybody.
func TestBeyondLoopbackWithoutToken(t *testing.T) {
	o := operate(t, everywhere, "", "vllm-0")
	if o.server.Open() {
		t.Error("open")
	}
	for _, c := range routes {
		if r := o.ask(c.method, c.path, "Authorization: Bearer "); c.guarded {
			o.wantError(r, 403)
		} else if r.StatusCode != c.status {
			t.Errorf("%s: %d", c.path, r.StatusCode)
		}
	}
	o.wantState("unknown")
}

// A page of another site, open in a browser on this host, may not command; tools and pages of our own may.
func TestCrossSite(t *testing.T) {
	for _, token := range []string{"", "secret"} {
		o := operate(t, loopbackOnly, token, "vllm-0")
		own, right := "Origin: http://"+o.addr, "Authorization: Bearer secret"
		for _, foreign := range [][]string{
			{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"},
			{"Sec-Fetch-Site: cross-site"},
			{"Sec-Fetch-Site: same-site"},
			{"Origin: https://evil.example"},
			{"Origin: null"},
			{"Origin: http://127.0.0.1:1"},
		} {
			for _, c := range routes {
				if c.method != "GET" {
					o.wantError(o.ask(c.method, c.path, append(foreign, right)...), 403)
				}
			}
			o.wantError(o.ask("POST", "/nothing", append(foreign, right)...), 403)
		}
		o.wantState("unknown")
		for _, ours := range [][]string{{}, {own}, {own, "Sec-Fetch-Site: same-origin"}, {"Sec-Fetch-Site: none"}} {
			if r := o.ask("POST", "/api/upstreams/vllm-0/drain", append(ours, right)...); r.StatusCode != 200 {
				t.Errorf("%v: %d", ours, r.StatusCode)
			}
		}
		o.wantState("unknown, draining")
	}
}

// Without a token only loopback names open the guarded part: a page's own name can be made to point here, and the
// browser then takes it for one site with us.
func TestReboundHost(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	for host, open := range map[string]bool{
		"localhost": true, "localhost:8081": true, "LocalHost:1": true, "127.0.0.1": true, "127.1.2.3:9999": true, "[::1]": true, "[::1]:8081": true,
		"rebound.evil.example": false, "rebound.evil.example:8081": false, "localhost.evil.example": false, "evil.localhost": false, "127.0.0.1.evil.example": false,
		"10.0.0.1:8081": false, "0.0.0.0:8081": false, "[::]:8081": false, "[fd00::1]": false, "localhost:evil": false,
	} {
		for _, c := range routes {
			if open && strings.Contains(c.path, "profile") {
				continue // takes a second
			}
			if r := o.ask(c.method, c.path, "Host: "+host, "Origin: http://"+host); c.guarded && !open {
				o.wantError(r, 403)
			} else if r.StatusCode != c.status {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, host, r.StatusCode, r.body)
			}
		}
	}
}
