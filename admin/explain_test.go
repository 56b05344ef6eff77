package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"tether/session"
	"tether/session/identity"
	"tether/upstream"
)

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

// A request whose id is derived from more than the opening says so.
func TestWhereOfAWideOpening(t *testing.T) {
	r := newRig(t)
	g := Guide{Router: r.router, Read: func([]byte) session.Reading {
		return session.Reading{Source: identity.Source{Kind: identity.FromOpening}, Wide: true, Request: session.Request{Key: identity.Key{Hi: 7}, Synthetic: true}}
	}}
	if got, want := g.Request(nil).Places[0].Source, "opening, and what follows it: many conversations open alike"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
