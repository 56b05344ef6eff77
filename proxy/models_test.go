package proxy

import (
	"encoding/json"
	"strings"
	"testing"

	"tether/sim"
	"tether/upstream"
)

func list(entries ...string) *upstream.Models {
	var l []upstream.Model
	for _, raw := range entries {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(raw), &e); err != nil {
			panic(err)
		}
		l = append(l, upstream.Model{ID: e.ID, Raw: json.RawMessage(raw)})
	}
	return upstream.NewModels(l)
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

// Where the servers want a key before they list their models, the client's own key decides.
func TestModelsBehindKeys(t *testing.T) {
	r := fleet(t, 2, sim.Config{APIKey: "secret", Models: []string{"llama"}})
	r.up(0).SetAsksKey(true)
	if a := r.do("GET", "/v1/models", ""); a.StatusCode != 401 || a.server() == "" {
		t.Errorf("%d from %q without the key", a.StatusCode, a.server())
	}
	a := r.do("GET", "/v1/models", "", "Authorization: Bearer secret")
	if a.StatusCode != 200 || !strings.Contains(a.body, `"llama"`) || a.server() == "" {
		t.Errorf("%d from %q with it", a.StatusCode, a.server())
	}
}
