package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"strings"
	"testing"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/upstream"
	"tether/upstream/models"
)

func list(entries ...string) *models.List {
	var l []models.Model
	for _, raw := range entries {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(raw), &e); err != nil {
			panic(err)
		}
		l = append(l, models.Model{ID: e.ID, Raw: json.RawMessage(raw)})
	}
	return models.New(l)
}

func TestModelsAreTheUnion(t *testing.T) {
	r := fleet(t, 4, sim.Config{})
	r.up(0).SetModels(list(`{"id":"a","owned_by":"zero"}`, `{"id":"b"}`))
	r.up(1).SetModels(list(`{"id":"c"}`, `{"id":"a","owned_by":"one"}`))
	r.up(2).SetModels(list(`{"id":"down"}`))
	r.up(2).SetHealth(upstream.Down, "test")
	a := r.do("GET", "/v1/models?x=y", "", sid)
	r.want(a, 200, "none")
	if want := `{"object":"list","data":[{"id":"a","owned_by":"zero"},{"id":"b"},{"id":"c"}]}`; a.body != want {
		t.Errorf("got %s, want %s", a.body, want)
	}
	if count(r.sims) != 0 || a.Header.Get("X-Session-Id") != "s-1" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("forwarded %d, %v", count(r.sims), a.Header)
	}
	for i := range r.sims {
		r.up(i).SetHealth(upstream.Down, "test")
	}
	if a := r.do("GET", "/v1/models", ""); a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" {
		t.Errorf("%d without an upstream", a.StatusCode)
	}
}

// If the servers ask for a key before they list their models, the client's own key decides.
func TestModelsBehindKeys(t *testing.T) {
	r := fleet(t, 2, sim.Config{APIKey: "secret", Models: []string{"llama"}})
	r.up(0).SetNeedsKey(true)
	if a := r.do("GET", "/v1/models", ""); a.StatusCode != 401 || a.server() == "" {
		t.Errorf("%d from %q without the key", a.StatusCode, a.server())
	}
	a := r.do("GET", "/v1/models", "", "Authorization: Bearer secret")
	if a.StatusCode != 200 || !strings.Contains(a.body, `"llama"`) || a.server() == "" {
		t.Errorf("%d from %q with it", a.StatusCode, a.server())
	}
}

// One model is answered in the form of its entry in the list, whether or not the slash in its id is escaped.
func TestOneModel(t *testing.T) {
	r := fleet(t, 2, sim.Config{}, func(r *rig) { r.models.Aliases = map[string]string{"gpt-4o": "org/llama-3:8b"} })
	const entry = `{"id":"org/llama-3:8b","owned_by":"zero"}`
	r.up(0).SetModels(list(entry))
	r.up(1).SetModels(list(`{"id":"tiny"}`, `{"id":"a b"}`))
	for path, want := range map[string]string{
		"/v1/models/org/llama-3:8b":       entry,
		"/v1/models/org%2Fllama-3%3a8b":   entry,
		"/v1/models/org%2fllama-3:8b?x=y": entry,
		"/v1/models/gpt-4o":               `{"id":"gpt-4o","owned_by":"zero"}`,
		"/v1/models/a%20b":                `{"id":"a b"}`,
	} {
		a := r.do("GET", path, "", sid)
		if r.want(a, 200, "none"); a.body != want || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("X-Session-Id") != "s-1" {
			t.Errorf("%s: %s, %v", path, a.body, a.Header)
		}
		if rec := r.last(); rec.Route != "/v1/models/{id}" {
			t.Errorf("%s is %s in metrics", path, rec.Route)
		}
	}
	for _, path := range []string{"/v1/models/org", "/v1/models/org/llama-3:8b/", "/v1/models//org/llama-3:8b", "/v1/models/..%2f..%2fsleep", "/v1/models/../health"} {
		a := r.do("GET", path, "")
		const want = `{"error":{"message":"The model does not exist here. GET /v1/models lists those that do.","type":"invalid_request_error","param":"model","code":"model_not_found"}}`
		if a.StatusCode != 404 || a.body != want {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	if a := r.do("DELETE", "/v1/models/tiny", ""); a.StatusCode != 405 || a.Header.Get("Allow") != "GET" {
		t.Errorf("DELETE: %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
	}
	if a := r.do("GET", "/v1/models/", ""); a.StatusCode != 404 || strings.Contains(a.body, "model_not_found") {
		t.Errorf("without an id: %d %s", a.StatusCode, a.body)
	}
	if count(r.sims) != 0 {
		t.Errorf("servers got %d requests", count(r.sims))
	}
	r.up(0).SetNeedsKey(true)
	if a := r.do("GET", "/v1/models/tiny", ""); a.StatusCode != 404 || !strings.Contains(a.body, "API key") {
		t.Errorf("behind keys: %d %s", a.StatusCode, a.body)
	}
	r.up(0).SetHealth(upstream.Down, "test")
	r.up(1).SetHealth(upstream.Down, "test")
	if a := r.do("GET", "/v1/models/tiny", ""); a.StatusCode != 503 {
		t.Errorf("without an upstream: %d %s", a.StatusCode, a.body)
	}
}

// aliased is an option: gpt-4o and whisper-1 are other names of tiny.
func aliased(r *rig) { r.models.Aliases = map[string]string{"gpt-4o": "tiny", "whisper-1": "tiny"} }

// received is the body that the only simulated server received last.
func (r *rig) received() string {
	r.t.Helper()
	all := r.sims[0].Requests()
	if len(all) == 0 {
		r.t.Fatal("the server got nothing")
	}
	return string(all[len(all)-1].Body)
}

// The server gets the model in place of the alias, and every other byte of the body unchanged, however the body arrived.
func TestAliasesAreReplaced(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, aliased)
	for _, fill := range []int{0, 10, 4 << 10, 20 << 10, 100 << 10, 1 << 20} {
		for _, at := range []string{"front", "end"} {
			body := func(model string) string {
				rest := fmt.Sprintf("\"max_tokens\" : 1,\n\"x-unknown\":[1.0,null,{\"model\":\"gpt-4o\"}],\"messages\":[{\"role\":\"user\",\"content\":\"\\u00fc%s\"}]", strings.Repeat("y", fill))
				if at == "front" {
					return `{"model": "` + model + `",` + rest + "}"
				}
				return "{" + rest + `,"model" :"` + model + `" }`
			}
			for name, a := range map[string]*answer{
				"length": r.do("POST", chatPath, body("gpt-4o")), "chunks": r.chunked(chatPath, body("gpt-4o")),
			} {
				if a.StatusCode != 200 || r.received() != body("tiny") {
					t.Errorf("%d bytes, model at the %s, %s: %d\n%.300s", fill, at, name, a.StatusCode, r.received())
				}
			}
			if m := string(r.last().Model); m != "tiny" {
				t.Errorf("recorded %s", m)
			}
		}
	}
	if a := r.do("POST", chatPath, "\ufeff"+strings.Replace(chat("x"), "tiny", "gpt-4o", 1)); a.StatusCode != 200 || r.received() != "\ufeff"+chat("x") {
		t.Errorf("behind a byte order mark: %d, %q", a.StatusCode, r.received())
	}
	if a := r.do("POST", "/v1/embeddings", `{"model":"gpt-4o","input":"x"}`); a.StatusCode != 200 || r.received() != `{"model":"tiny","input":"x"}` {
		t.Errorf("embeddings: %d, %s", a.StatusCode, r.received())
	}
}

// A session is the same under an alias and under its model.
func TestAliasesShareSessions(t *testing.T) {
	r := fleet(t, 4, sim.Config{}, aliased)
	for n := range 20 {
		id := fmt.Sprint("X-Session-Id: s-", n)
		first := r.chat("hello", id)
		second := r.do("POST", chatPath, strings.Replace(chat("hello"), "tiny", "gpt-4o", 1), id)
		if second.server() != first.server() || second.outcome() != "pinned" {
			t.Errorf("%s under the model, %s under the alias: %s", first.server(), second.server(), second.outcome())
		}
	}
}

// A second attempt sends the same bytes.
func TestAliasesInASecondAttempt(t *testing.T) {
	r := fleet(t, 2, sim.Config{}, aliased)
	for _, s := range r.sims {
		if err := s.Inject(simfault.Fault{Kind: simfault.Reset, Times: 1}); err != nil {
			t.Fatal(err)
		}
	}
	r.do("POST", chatPath, strings.Replace(chat("hello"), "tiny", "gpt-4o", 1))
	seen := 0
	for _, s := range r.sims {
		for _, q := range s.Requests() {
			if seen++; string(q.Body) != chat("hello") {
				t.Errorf("%s", q.Body)
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d attempts, want 2", seen)
	}
}

// Uploads pass byte by byte, except the alias, and only to servers that have their model.
func TestUploads(t *testing.T) {
	r := fleet(t, 3, sim.Config{}, aliased)
	for i := range 2 {
		r.up(i).SetModels(list(`{"id":"other"}`))
	}
	r.up(2).SetModels(list(`{"id":"tiny"}`))
	upload := func(model string, sound []byte) (body, contentType string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		f, _ := w.CreateFormFile("file", "a.wav")
		_, _ = f.Write(sound)
		_ = w.WriteField("model", model)
		_ = w.WriteField("language", "de")
		_ = w.Close()
		return b.String(), "Content-Type: " + w.FormDataContentType()
	}
	for _, size := range []int{0, 1000, 3 << 20} {
		sound := make([]byte, size)
		for i := range sound {
			sound[i] = byte(i * i >> 3)
		}
		for _, model := range []string{"tiny", "whisper-1"} {
			body, contentType := upload(model, sound)
			a := r.do("POST", "/v1/audio/transcriptions", body, contentType)
			got := r.sims[2].Requests()
			if a.StatusCode != 200 || a.server() != "vllm-2" || len(got) == 0 {
				t.Fatalf("%d bytes for %s: %d from %s: %s", size, model, a.StatusCode, a.server(), a.body)
			}
			last := got[len(got)-1]
			if want := strings.Replace(body, "\r\n"+model+"\r\n", "\r\ntiny\r\n", 1); string(last.Body) != want {
				t.Errorf("%d bytes for %s came as another body", size, model)
			}
			if want := strings.TrimPrefix(contentType, "Content-Type: "); last.Header.Get("Content-Type") != want {
				t.Errorf("%s, want %s", last.Header.Get("Content-Type"), want)
			}
		}
	}
}

// Aliases are listed beside their models, with the same description.
func TestAliasesAreListed(t *testing.T) {
	r := fleet(t, 2, sim.Config{}, func(r *rig) {
		r.models.Aliases = map[string]string{"z": "a", "b": "a", "gone": "unserved", "c": "a"}
	})
	r.up(0).SetModels(list(`{"object":"model", "id" : "a" ,"root":"id","permission":[{"id":"p"}]}`, `{"id":"c"}`))
	r.up(1).SetModels(list(`{"id":"a"}`))
	a := r.do("GET", "/v1/models", "")
	const want = `{"object":"list","data":[{"object":"model", "id" : "a" ,"root":"id","permission":[{"id":"p"}]},{"id":"c"},` +
		`{"object":"model", "id":"b" ,"root":"id","permission":[{"id":"p"}]},{"object":"model", "id":"z" ,"root":"id","permission":[{"id":"p"}]}]}`
	if a.body != want {
		t.Errorf("got  %s\nwant %s", a.body, want)
	}
}

// If the configuration names the models of every server, tether tells a model that no server has, and lists the models that there
// are, from a model whose servers are down.
func TestConfiguredModels(t *testing.T) {
	r := fleet(t, 3, sim.Config{}, aliased, func(r *rig) {
		r.spec = func(s *upstream.Spec) {
			if s.Models = []string{"tiny"}; s.Slot == 2 {
				s.Models = []string{`big "7B"`}
			}
		}
	})
	ask := func(path, model string) *answer {
		return r.do("POST", path, fmt.Sprintf(`{"model":%q,"max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, model))
	}
	for range 10 {
		if a := ask(chatPath, "gpt-4o"); a.StatusCode != 200 || a.server() == "vllm-2" {
			t.Errorf("%d from %s", a.StatusCode, a.server())
		}
	}
	r.last()
	before := count(r.sims)
	const message = "The model is not served here. Models: `tiny`, `big \\\"7B\\\"`, `gpt-4o`, `whisper-1`."
	a := ask(chatPath, "unserved")
	r.want(a, 404, "none")
	if reason := r.last().Reason; reason != "model_not_found" {
		t.Errorf("reason %s", reason)
	}
	if want := `{"error":{"message":"` + message + `","type":"not_found_error","param":"model","code":404}}`; a.body != want {
		t.Errorf("got  %s\nwant %s", a.body, want)
	}
	if a := ask("/v1/messages", "unserved"); a.StatusCode != 404 || a.body != `{"type":"error","error":{"type":"not_found_error","message":"`+message+`"}}` {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	r.up(2).SetHealth(upstream.Down, "test")
	if a := ask(chatPath, `big "7B"`); a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" {
		t.Errorf("%d for a model whose server is down", a.StatusCode)
	}
	if count(r.sims) != before {
		t.Error("a server was asked for a model that it does not have")
	}
	if a := r.do("GET", "/v1/models", ""); !strings.Contains(a.body, `"id":"tiny"`) || !strings.Contains(a.body, `"id":"gpt-4o"`) || strings.Contains(a.body, "7B") {
		t.Errorf("listed %s", a.body)
	}
}

// A server that is down and asked for a key keeps no client from the list; nor do probes that all time out. If no list is
// known, a server gets the request.
func TestModelsOfDownServers(t *testing.T) {
	r := fleet(t, 2, sim.Config{}, aliased)
	if a := r.do("GET", "/v1/models", ""); a.StatusCode != 200 || a.server() == "" {
		t.Errorf("%d, %s where no list is known", a.StatusCode, a.body)
	}
	r.up(0).SetModels(list(`{"id":"tiny"}`))
	r.up(1).SetNeedsKey(true)
	r.up(1).SetHealth(upstream.Down, "test")
	const want = `{"object":"list","data":[{"id":"tiny"},{"id":"gpt-4o"},{"id":"whisper-1"}]}`
	if a := r.do("GET", "/v1/models", ""); a.body != want {
		t.Errorf("%s beside a server that is down", a.body)
	}
	for i := range 2 {
		r.up(i).SetHealth(upstream.TimedOut, "test")
	}
	if a := r.do("GET", "/v1/models", ""); a.StatusCode != 200 || a.body != want {
		t.Errorf("%d, %s while all are slow", a.StatusCode, a.body)
	}
}
