package admin

import (
	"encoding/json"
	"testing"
	"time"

	"tether/upstream"
)

// A drain says what keeps the upstream from being drained, for each way to move sessions.
func TestDrained(t *testing.T) {
	r := newRig(t)
	u := r.up["vllm-0"]
	now := time.Now()
	show := func(path string) (v upstreamView) {
		t.Helper()
		status, text := r.do("POST", "/api/upstreams/vllm-0/"+path, "")
		if err := json.Unmarshal([]byte(text), &v); err != nil || status != 200 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
		return v
	}
	pin := func(id string, age time.Duration) {
		r.pins.Set(r.ids.Key([]byte("a"), []byte(id)), u.Ref(), now.Add(-age))
	}
	pin("fresh", 0)
	for _, c := range []struct{ path, move string }{{"drain", "never"}, {"drain?move=idle", "idle"}} {
		d := show(c.path).Drain
		if d == nil || d.Move != c.move || d.Drained || d.SessionsLeft != 1 || d.RequestsLeft != 0 || (d.AllAt != nil) != (c.move == "idle") {
			t.Errorf("%s: %+v", c.path, d)
		}
	}
	u.Begin()
	for _, path := range []string{"drain?move=now", "drain?hard=true", "drain?move=idle&within=0s"} {
		if d := show(path).Drain; d == nil || d.Move != "now" || d.Drained || d.SessionsLeft != 0 || d.RequestsLeft != 1 {
			t.Errorf("%s: %+v", path, d)
		}
	}
	u.End()
	if v := show("drain?move=now"); !v.Drain.Drained || v.State != "up, draining hard, drained" {
		t.Errorf("%+v", v)
	}
	if v := show("undrain"); v.Drain != nil || v.State != "up" || !u.MovesAllAt().IsZero() || v.Active != 1 || v.Pins != 1 {
		t.Errorf("%+v", v)
	}
	r.pins.Delete(r.ids.Key([]byte("a"), []byte("fresh")), now)
	if v := show("drain"); !v.Drain.Drained || v.Active != 0 {
		t.Errorf("without sessions: %+v", v)
	}
	for _, path := range []string{"drain?move=soon", "drain?move=idle&within=x", "drain?move=idle&within=-1s", "drain?move=idle&within=25h", "drain?within=1m", "drain?move=now&within=1m"} {
		if status, text := r.do("POST", "/api/upstreams/vllm-1/"+path, ""); status != 400 || r.up["vllm-1"].State().Draining() {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

// A drain of a server is one of all its ranks.
func TestDrainMovesIdleOfAllRanks(t *testing.T) {
	registry := upstream.NewRegistry(nil)
	if _, err := registry.Apply([]upstream.Spec{{Name: "vllm-0", Ranks: 2, Weight: 100}}); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, server: NewServer(nil, depsOf(t, registry, ""))}
	r.server.local = true
	if status, text := r.do("POST", "/api/upstreams/vllm-0/drain?move=idle&within=1h", ""); status != 200 {
		t.Fatal(text)
	}
	for _, m := range registry.Table().Members {
		if m.MovesAllAt().IsZero() || !m.State().Draining() {
			t.Errorf("%s stays", m.Name())
		}
	}
	if status, _ := r.do("POST", "/api/upstreams/vllm-0@1/undrain", ""); status != 200 {
		t.Fatal(status)
	}
	if m := registry.Table().Members; m[0].MovesAllAt().IsZero() || !m[1].MovesAllAt().IsZero() || m[1].State().Draining() {
		t.Error("one rank does not end its drain alone")
	}
}
