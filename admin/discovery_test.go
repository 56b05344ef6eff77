package admin

import (
	"net/http/httptest"
	"testing"
	"time"
)

func TestDiscoveredSources(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	if r := o.ask("GET", "/api/discovery"); r.body != `{"sources":[]}`+"\n" {
		t.Error(r.body)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sources := func() []Discovered {
		return []Discovered{{Source: "dns:a", Upstreams: 2, LastSuccess: &at}, {Source: "file:b", Failures: 3, Problem: "p"}}
	}
	want := `{"sources":[{"source":"dns:a","upstreams":2,"last_success":"2026-01-02T03:04:05Z","failures":0},` +
		`{"source":"file:b","upstreams":0,"last_success":null,"failures":3,"problem":"p"}]}` + "\n"
	answer := httptest.NewRecorder()
	showSources(sources)(answer, httptest.NewRequest("GET", "/api/discovery", nil))
	if answer.Code != 200 || answer.Body.String() != want {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
