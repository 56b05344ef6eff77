package proxy

import (
	"fmt"
	"testing"

	"tether/sim"
	"tether/upstream/models"
)

// The pin of a conversation goes with the end of its last answer, and with no other.
func TestFinalRequests(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	pinned := func(what string, want int) {
		t.Helper()
		if got := r.pins.Stats().Pins; got != want {
			t.Errorf("%s: %d pins, want %d", what, got, want)
		}
	}
	freed := 0
	for i, c := range []struct {
		what, body, field string
		fault             string
		frees             bool
	}{
		{"a turn", chat("hello"), "X-Session-Final: false", "", false},
		{"a turn with nothing in the field", chat("hello"), "X-Session-Final: ", "", false},
		{"the last turn", chat("hello"), "X-Session-Final: true", "", true},
		{"the last stream", streamed("hello"), "x_session_final: TRUE", "", true},
		{"Dynamo's field", chat("hello"), "X-Dynamo-Session-Final: 1", "", true},
		{"an error", chat("hello"), "X-Session-Final: true", "status=500", false},
		{"a stream that is cut", streamed("hello"), "X-Session-Final: true", "cut-between=2", false},
	} {
		id := fmt.Sprintf("X-Session-Id: final-%d", i)
		r.do("POST", "/v1/chat/completions", chat("hello"), id)
		before := r.pins.Stats().Pins
		fields := []string{id, c.field}
		if c.fault != "" {
			fields = append(fields, "X-Sim-Fault: "+c.fault)
		}
		r.do("POST", "/v1/chat/completions", c.body, fields...)
		if c.frees {
			before--
			freed++
		}
		pinned(c.what, before)
	}
	r.recorded(14)
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := 0
	for _, rec := range r.records {
		sum += rec.Freed
	}
	if sum != freed {
		t.Errorf("%d pins are counted, want %d", sum, freed)
	}
}

// POST /finish_session drops the pins of the session that the head or the body names, under the body's model or all models.
func TestFinishSession(t *testing.T) {
	r := fleet(t, 2, sim.Config{Models: []string{"tiny", "other"}})
	for i := range r.sims {
		r.up(i).SetModels(models.New([]models.Model{{ID: "tiny"}, {ID: "other"}}))
	}
	pin := func(fields ...string) {
		for _, model := range []string{"tiny", "other"} {
			r.do("POST", "/v1/chat/completions", fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hi"}]}`, model), fields...)
		}
	}
	for _, c := range []struct {
		what, body string
		fields     []string
		status     int
		answer     string
	}{
		{"by the head", "", []string{sid}, 200, `{"freed":2}`},
		{"by the body", `{"session_id":"s-1"}`, nil, 200, `{"freed":2}`},
		{"one model", `{"session_id":"s-1","model":"other"}`, nil, 200, `{"freed":1}`},
		{"another session", `{"session_id":"s-2"}`, nil, 200, `{"freed":0}`},
		{"no session", `{}`, nil, 400, ""},
		{"a shared id", `{"prompt_cache_key":"s-1"}`, nil, 400, ""},
		{"an invalid id", `{"session_id":""}`, nil, 400, ""},
	} {
		pin(sid)
		a := r.do("POST", "/finish_session", c.body, c.fields...)
		if a.StatusCode != c.status || c.answer != "" && a.body != c.answer {
			t.Errorf("%s: %d %s, want %d %s", c.what, a.StatusCode, a.body, c.status, c.answer)
		}
	}
	r.do("POST", "/v1/chat/completions", `{"model":"tiny","session_id":"s-9","messages":[{"role":"user","content":"hi"}]}`)
	for _, want := range []string{`{"freed":1}`, `{"freed":0}`} {
		if a := r.do("POST", "/finish_session", "", "X-Session-Id: s-9"); a.body != want {
			t.Errorf("an id that the body had, by the head: %s, want %s", a.body, want)
		}
	}
	if a := r.do("GET", "/finish_session", ""); a.StatusCode != 405 {
		t.Errorf("%d for GET", a.StatusCode)
	}
	for _, s := range r.sims {
		for _, seen := range s.Requests() {
			if seen.Path == "/finish_session" {
				t.Error("a server got the call")
			}
		}
	}
}
