package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tether/admin"
	"tether/proxy"
	"tether/session"
	"tether/session/identity"
	"tether/sim"
	"tether/sim/fault"
)

// There is one warning a minute, which says how many were left out. It has the hash of the id, and not the id.
func TestHotSessions(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	h := hotSessions{log: zap.New(core)}
	start := time.Unix(1e9, 0)
	r := proxy.Record{Key: identity.Key{Hi: 7}, Source: identity.Source{Kind: identity.FromHeader, Name: "x-session-id"}, Hot: 17}
	for n := range 121 {
		r.Started, r.Hot = start.Add(time.Duration(n)*time.Second), 17+n
		h.done(&r)
	}
	want := []map[string]any{
		{"session": "0000000000000007", "source": "header:x-session-id", "in_flight": int64(17), "suppressed": int64(0)},
		{"session": "0000000000000007", "source": "header:x-session-id", "in_flight": int64(77), "suppressed": int64(59)},
		{"session": "0000000000000007", "source": "header:x-session-id", "in_flight": int64(137), "suppressed": int64(59)},
	}
	all := logs.All()
	if len(all) != len(want) {
		t.Fatalf("%d warnings, want %d", len(all), len(want))
	}
	for i, line := range all {
		got := line.ContextMap()
		for key, value := range want[i] {
			if got[key] != value {
				t.Errorf("warning %d: %s is %v, want %v", i, key, got[key], value)
			}
		}
	}
}

// A running tether shows an id that many requests have at once: in a metric, in its log, and in the explanation of where
// the session is. None of them has the id itself, and the requests stay together.
func TestHotSessionIsShown(t *testing.T) {
	sims, urls := startSims(t, 2, sim.Config{})
	s := startTether(t, nil, urls...)
	for n := range sims {
		s.await(n, "up")
		if err := sims[n].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
			t.Fatal(err)
		}
	}
	const id, many = "the-id-of-a-team", session.MaxInFlight + 4
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	var clients sync.WaitGroup
	for range many {
		clients.Go(func() {
			res, err := client.Do(s.request("POST", "/v1/chat/completions", hello, "X-Session-Id", id))
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
		})
	}
	var where admin.Where
	for deadline := time.Now().Add(patience); ; {
		res, err := http.Post("http://"+s.admin+"/api/where", "application/json", strings.NewReader(`{"id":"`+id+`","model":"tiny"}`))
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(res.Body).Decode(&where)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if where.Places[0].InFlight == many {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("where never showed %d requests: %+v", many, where.Places)
		}
	}
	for _, sim := range sims {
		sim.ClearFaults()
	}
	clients.Wait()
	text := s.awaitRequests(many)
	if got := samples(text, "tether_hot_session_requests_total", "")[""]; got != 4 {
		t.Errorf("the metric is %v, want 4", got)
	}
	lines := s.logs.FilterMessageSnippet("many requests in flight under one session id").All()
	if len(lines) != 1 || lines[0].ContextMap()["session"] != where.Places[0].Session {
		t.Errorf("logged %v, the session is %s", lines, where.Places[0].Session)
	}
	if servers := samples(text, "tether_attempts_total", "upstream"); len(servers) != 1 {
		t.Errorf("the requests were served by %v", servers)
	}
}
