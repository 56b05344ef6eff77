package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tether/admin"
	"tether/config"
	"tether/proxy"
	"tether/session/balance"
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

// 64 requests at once under one id of a team: with a limit that they do not reach all of them go to one server, as those of one
// conversation do. With the default limit the surplus is spread, and the first ones stay with the session. A metric, the log and the
// explanation of where the session is show the id by its hash, and never the id itself.
func TestTeamWithOneID(t *testing.T) {
	const servers, many = 4, 64
	for _, c := range []struct {
		limit, surplus int
		most           int // at one server
	}{{limit: 1000, most: many}, {limit: 16, surplus: many - 16, most: many / 2}} {
		sims, urls := startSims(t, servers, sim.Config{})
		s := startTether(t, func(cfg *config.Config) {
			cfg.Session.Routing.MaxInFlight = c.limit
			cfg.Session.Routing.Balance.MoveWhenBusierBy = balance.Never // otherwise the session moves once its server is 6 s busier
		}, urls...)
		held, where := s.holdTeam(sims, many)
		t.Logf("limit %d: %v requests at once by server", c.limit, held)
		if slices.Max(held) > c.most || slices.Max(held) < min(many, c.limit) {
			t.Errorf("limit %d: %v, want the most between %d and %d", c.limit, held, min(many, c.limit), c.most)
		}
		text := s.awaitRequests(many)
		if got := samples(text, "tether_hot_session_requests_total", "")[""]; got != float64(c.surplus) {
			t.Errorf("limit %d: the metric is %v, want %d", c.limit, got, c.surplus)
		}
		lines := s.logs.FilterMessageSnippet("many requests in flight under one session id").All()
		if c.surplus == 0 {
			if len(lines) != 0 || where.InFlight != 0 {
				t.Errorf("logged %v, where shows %d in flight: want neither below the limit", lines, where.InFlight)
			}
			continue
		}
		if where.InFlight != many || where.Outcome != "spilled" {
			t.Errorf("where: %+v", where)
		}
		if len(lines) != 1 || lines[0].ContextMap()["session"] != where.Session {
			t.Errorf("logged %v, the session is %s", lines, where.Session)
		}
	}
}

// holdTeam sends many requests at once under one id, and returns how many of them each server has, and where the next one would go, while
// all are in flight.
func (s *running) holdTeam(sims []*sim.Server, many int) (held []int, where admin.Place) {
	s.t.Helper()
	const id = "the-id-of-a-team"
	for n := range sims {
		s.await(n, "up")
		if err := sims[n].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
			s.t.Fatal(err)
		}
	}
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	var clients sync.WaitGroup
	for range many {
		clients.Go(func() {
			res, err := client.Do(s.request("POST", "/v1/chat/completions", hello, "X-Session-Id", id))
			if err != nil {
				s.t.Error(err)
				return
			}
			res.Body.Close()
		})
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		held = held[:0]
		sum := 0
		for _, server := range sims {
			held = append(held, server.Load().Held)
			sum += held[len(held)-1]
		}
		if sum == many {
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the servers have %v of %d requests", held, many)
		}
	}
	res, err := http.Post("http://"+s.admin+"/api/where", "application/json", strings.NewReader(`{"id":"`+id+`","model":"tiny"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var all admin.Where
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
		s.t.Fatal(err)
	}
	for _, server := range sims {
		server.ClearFaults()
	}
	clients.Wait()
	return held, all.Places[0]
}
