package admin

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/session/prefill"
	"tether/session/warm"
	"tether/upstream"
	"tether/upstream/models"
)

func TestDrain(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0", "vllm-1")
	for _, c := range []struct{ path, state string }{
		{"vllm-0/drain", "unknown, draining"},
		{"vllm-1/drain?hard=true", "unknown, draining"},
		{"vllm-0/drain?hard=true", "unknown, draining hard"},
		{"vllm-0/drain?move=idle", "unknown, draining"},
		{"vllm-0/drain?move=now", "unknown, draining hard"},
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

// The list of upstreams has the state of the caches of each model.
func TestCachesOfModels(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	if body := o.ask("GET", "/api/upstreams").body; !strings.Contains(body, `"caches":[]`) {
		t.Error(body)
	}
	e := prefill.New(prefill.Default())
	o.server.deps.Estimates = e
	at := time.Now()
	e.Add("llama", at)
	m := e.Of([]byte("llama"))
	for _, began := range []time.Time{at, at.Add(5 * time.Second)} {
		for id := range uint64(10) {
			e.Note(m, warm.Turn{Session: id + 1, Prompt: 10_128, Cached: 5_000, Began: began, Ended: began})
		}
	}
	m.Caches.Look(50_000, at.Add(5*time.Second))
	const want = `"caches":[{"model":"llama","state":"overrun","warm_tokens":101280,"warm_seconds":600,"cache_tokens":50000,"shortfall":0.5}]`
	if body := o.ask("GET", "/api/upstreams").body; !strings.Contains(body, want) {
		t.Errorf("%s\nwant %s", body, want)
	}
}

// A name comes from the configuration, and may hold characters that have a meaning in paths, JSON and HTML.
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
