package admin

import (
	"encoding/json"
	"fmt"
	"testing"

	"tether/upstream/models"
)

// sessions is the answer of the API about sessions.
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
