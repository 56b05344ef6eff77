package admin

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tether/session"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
	"tether/upstream/models"
	"tether/upstream/transport"
)

// rig is an admin server over upstreams that nobody talks to.
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
	r := &rig{t: t, pins: d.Pins, router: d.Guide.Router, ids: d.Guide.Identifier, up: map[string]*upstream.Upstream{}}
	for _, m := range registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
		m.SetModels(models.New([]models.Model{{ID: "a"}, {ID: "b"}}))
		r.up[m.Name()] = m.Upstream
	}
	r.server = NewServer(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, d)
	return r
}

// depsOf are what a server over the registry's upstreams shows and drives. It reads nothing in requests.
func depsOf(t *testing.T, registry *upstream.Registry, token string) Deps {
	t.Helper()
	cfg := identity.Default()
	sessions := pins.NewMap(1000, time.Hour)
	router := session.NewRouter(session.Default(), sessions, pins.NewMap(1000, session.ResponsesTTL), true)
	if err := router.Use(registry.Table(), nil); err != nil {
		t.Fatal(err)
	}
	ids, err := identity.NewIdentifier(&cfg, &identity.Models{Aliases: map[string]string{"alias": "a"}}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return Deps{
		Registry: registry, Pins: sessions, Ready: func() bool { return true }, Metrics: http.NotFoundHandler(), Token: token,
		Guide:      Guide{Router: router, Identifier: ids, Read: func([]byte) session.Reading { return session.Reading{Status: 400, Refused: "test"} }},
		MaxRequest: 100,
	}
}

// pin pins the session under the model.
func (r *rig) pin(id, model string, u *upstream.Upstream) identity.Key {
	k := r.ids.Key([]byte(model), []byte(id))
	r.pins.Bind(k, u.Ref(), false, time.Now())
	r.pins.Confirm(k, u.Ref(), u.Ref(), false, time.Now())
	return k
}

// do asks, and checks that the answer is JSON, in which an error says its status.
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

func TestAPIErrors(t *testing.T) {
	r := newRig(t)
	r.pin("s", "a", r.up["vllm-0"])
	r.up["vllm-2"].SetHealth(upstream.Down, "test")
	long := strings.Repeat("x", 10_000)
	for _, c := range []struct {
		method, target, body string
		want                 int
	}{
		{"POST", "/api/upstreams/%3Cscript%3E/drain", "", 404},
		{"POST", "/api/upstreams/" + long + "/drain", "", 404},
		{"GET", "/api/sessions/unknown", "", 404},
		{"GET", "/api/sessions/s?model=b", "", 404},
		{"GET", "/api/sessions/s?model=", "", 404},
		{"GET", "/api/sessions/s?model=" + long, "", 400},
		{"GET", "/api/sessions/" + long, "", 400},
		{"GET", "/api/sessions/a%00b", "", 400},
		{"GET", "/api/sessions/a%20b", "", 400},
		{"GET", "/api/sessions/%C3%A4", "", 400},
		{"DELETE", "/api/sessions/unknown", "", 404},
		{"DELETE", "/api/sessions/a%0Ab", "", 400},
		{"POST", "/api/sessions/s/move", "", 404},
		{"POST", "/api/sessions/s/move?to=nobody", "", 404},
		{"POST", "/api/sessions/s/move?to=" + long, "", 404},
		{"POST", "/api/sessions/unknown/move?to=vllm-1", "", 404},
		{"POST", "/api/sessions/s/move?to=vllm-2", "", 409},
		{"POST", "/api/sessions/" + long + "/move?to=vllm-1", "", 400},
		{"POST", "/api/where", "", 400},
		{"POST", "/api/where", "{", 400},
		{"POST", "/api/where", `{"id":"s","secret":1}`, 400},
		{"POST", "/api/where", `{"id":1}`, 400},
		{"POST", "/api/where", `{"id":""}`, 400},
		{"POST", "/api/where", `{"id":"a\nb"}`, 400},
		{"POST", "/api/where", `{"id":"` + long + `"}`, 400},
		{"POST", "/api/where", `{"id":"s","model":"` + long + `"}`, 400},
		{"POST", "/api/where", `{"id":"` + strings.Repeat(long, 10) + `"}`, 413},
		{"POST", "/api/where/request", long, 413},
	} {
		status, text := r.do(c.method, c.target, c.body)
		if status != c.want || len(text) > 300 || strings.Contains(text, "script") || strings.Contains(text, "xxx") {
			t.Errorf("%s %.60s %.30s: %d %.200s, want %d", c.method, c.target, c.body, status, text, c.want)
		}
	}
	if hits := r.router.Lookup(r.ids, []byte("s"), []string{"a"}, time.Now()); len(hits) != 1 || hits[0].Upstream.Name() != "vllm-0" {
		t.Errorf("%+v", hits)
	}
}

// sessions is what the API answers about sessions.
type sessions struct {
	Sessions []sessionView
}

func (r *rig) sessions(method, target string) (s sessions) {
	r.t.Helper()
	status, text := r.do(method, target, "")
	if err := json.Unmarshal([]byte(text), &s); err != nil || status != 200 {
		r.t.Fatalf("%s %s: %d %s", method, target, status, text)
	}
	return s
}

func TestSessions(t *testing.T) {
	r := newRig(t)
	const id, escaped = `a/b?<c>%..`, `a%2Fb%3F%3Cc%3E%25..`
	plain := r.pin(id, "a", r.up["vllm-0"])
	foreign := r.pin(string(r.ids.Hashed([]byte(id))), "b", r.up["vllm-1"])
	nameless := r.pin(id, "", r.up["vllm-1"])
	pins := func() string {
		return fmt.Sprint(r.pins.Pins(r.up["vllm-0"].Ref()), r.pins.Pins(r.up["vllm-1"].Ref()), r.pins.Pins(r.up["vllm-2"].Ref()), r.pins.Stats().Pins)
	}
	got := r.sessions("GET", "/api/sessions/"+escaped).Sessions
	want := []sessionView{
		{Session: plain.String(), Model: "a", Source: fromHeader, Upstream: "vllm-0", State: "up"},
		{Session: nameless.String(), Source: fromHeader, Upstream: "vllm-1", State: "up"},
		{Session: foreign.String(), Model: "b", Source: fromHashed, Upstream: "vllm-1", State: "up"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if got := r.sessions("GET", "/api/sessions/"+escaped+"?model=b").Sessions; len(got) != 1 || got[0].Session != foreign.String() {
		t.Errorf("%+v", got)
	}

	got = r.sessions("POST", "/api/sessions/"+escaped+"/move?to=vllm-2&model=a").Sessions
	if len(got) != 1 || got[0].Upstream != "vllm-2" || got[0].From != "vllm-0" || pins() != "0 2 1 3" {
		t.Errorf("%+v, pins %s", got, pins())
	}
	r.up["vllm-0"].SetModels(models.New([]models.Model{{ID: "a"}}))
	if status, text := r.do("POST", "/api/sessions/"+escaped+"/move?to=vllm-0", ""); status != 409 || pins() != "0 2 1 3" {
		t.Errorf("%d %s, pins %s: a move under one model only", status, text, pins())
	}
	got = r.sessions("POST", "/api/sessions/"+escaped+"/move?to=vllm-2").Sessions
	if len(got) != 3 || pins() != "0 0 3 3" {
		t.Errorf("%+v, pins %s", got, pins())
	}

	if got := r.sessions("DELETE", "/api/sessions/"+escaped+"?model=b").Sessions; len(got) != 1 || pins() != "0 0 2 2" {
		t.Errorf("%+v, pins %s", got, pins())
	}
	if got := r.sessions("DELETE", "/api/sessions/"+escaped).Sessions; len(got) != 2 || pins() != "0 0 0 0" {
		t.Errorf("%+v, pins %s", got, pins())
	}
	if status, _ := r.do("DELETE", "/api/sessions/"+escaped, ""); status != 404 {
		t.Error(status)
	}
}

func (r *rig) where(body string) (w Where) {
	r.t.Helper()
	status, text := r.do("POST", "/api/where", body)
	if err := json.Unmarshal([]byte(text), &w); err != nil || status != 200 {
		r.t.Fatalf("%s: %d %s", body, status, text)
	}
	if strings.Contains(text, "10.9.8.7") || strings.Contains(text, "alice") {
		r.t.Errorf("an address or an id in %s", text)
	}
	return w
}

func TestWhere(t *testing.T) {
	r := newRig(t)
	if w := r.where(`{"id":"alice"}`); len(w.Places) != 2 || w.Places[0].Model != "a" || w.Places[1].Model != "b" || w.Note == "" {
		t.Errorf("%+v", w)
	}
	if w := r.where(`{"id":"alice","model":""}`); len(w.Places) != 1 || w.Places[0].Outcome != "new" || w.Places[0].Upstream != w.Places[0].Home {
		t.Errorf("%+v", w)
	}
	k := r.pin("alice", "b", r.up["vllm-1"])
	w := r.where(`{"id":"alice"}`)
	if len(w.Places) != 1 {
		t.Fatalf("%+v", w)
	}
	p := w.Places[0]
	if p.Session != k.String() || p.Model != "b" || p.Upstream != "vllm-1" || p.Pin != "vllm-1" || p.Outcome != "pinned" || len(p.Walk) != 3 {
		t.Errorf("%+v", p)
	}
	r.up["vllm-1"].SetHealth(upstream.Down, "it broke")
	p = r.where(`{"id":"alice"}`).Places[0]
	if p.Upstream == "vllm-1" || p.PinSkipped != "down: it broke" || p.Outcome != "moved" {
		t.Errorf("%+v", p)
	}
	aliased := r.pin("bob", "a", r.up["vllm-0"])
	if w := r.where(`{"id":"bob","model":"alias"}`); len(w.Places) != 1 || w.Places[0].Session != aliased.String() || w.Places[0].Model != "a" {
		t.Errorf("under an alias: %+v", w)
	}
	if status, text := r.do("POST", "/api/where/request", "hello"); status != 200 || !strings.Contains(text, `"refused":"test"`) {
		t.Errorf("%d %s", status, text)
	}
}

// What models are called is bounded and escaped in what is shown.
func TestHostileModels(t *testing.T) {
	r := newRig(t)
	huge := strings.Repeat("<b>\x01\xff", 2000)
	list := []models.Model{{ID: huge}}
	for i := range 5000 {
		list = append(list, models.Model{ID: fmt.Sprint("m", i)})
	}
	r.up["vllm-0"].SetModels(models.New(list))
	r.pin("s", huge, r.up["vllm-0"])
	for target, most := range map[string]int{"/api/upstreams": 20_000, "/api/sessions/s": 3000} {
		_, text := r.do("GET", target, "")
		if len(text) > most || strings.ContainsAny(text, "<\x01") || !utf8.ValidString(text) {
			t.Errorf("%s: %d bytes: %.300s", target, len(text), text)
		}
	}
	r.sessions("DELETE", "/api/sessions/s")
	if w := r.where(`{"id":"s"}`); len(w.Places) != maxPlaces || !strings.Contains(w.Note, "more models are known") {
		t.Errorf("%d places, %s", len(w.Places), w.Note)
	}
}
