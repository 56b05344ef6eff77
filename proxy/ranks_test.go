package proxy

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/upstream"
)

// rankedFleet is a fleet of servers with ranks.
func rankedFleet(t *testing.T, servers, ranks int) *rig {
	t.Helper()
	return fleet(t, servers, sim.Config{Ranks: ranks}, func(r *rig) {
		r.spec = func(s *upstream.Spec) { s.Ranks = ranks }
	})
}

// at says which simulated server an upstream is at.
func (r *rig) at(u *upstream.Upstream) *sim.Server {
	return r.sims[slices.Index(r.registry.Table().Servers, u.Server)]
}

// Every request names the rank of its conversation, whatever rank the client asks for, and finds the cache there.
func TestRequestsNameTheirRank(t *testing.T) {
	r := rankedFleet(t, 2, 4)
	used := map[string]bool{}
	for n := range 40 {
		prompt := fmt.Sprintf("conversation %d, of many words that fill a block of the cache", n)
		for turn := range 3 {
			a := r.chat(prompt, "X-Data-Parallel-Rank: 9", "x_data_parallel_rank: 9")
			u := r.last().Upstream
			seen := r.at(u).Requests()
			h := seen[len(seen)-1].Header
			if got := h.Values("X-Data-Parallel-Rank"); a.StatusCode != 200 || !slices.Equal(got, []string{strconv.Itoa(u.Rank())}) || h["X_data_parallel_rank"] != nil {
				t.Fatalf("%s: %d, the server was told %v: %s", u.Name(), a.StatusCode, h, a.body)
			}
			if cached := r.last().CachedTokens; (cached > 0) != (turn > 0) {
				t.Errorf("conversation %d, turn %d at %s: %d tokens cached", n, turn, u.Name(), cached)
			}
			used[u.Name()] = true
		}
	}
	if len(used) != 8 {
		t.Errorf("used: %v", used)
	}
	r.want(r.do("GET", "/v1/responses/resp_1", ""), 404, "none")
	u := r.last().Upstream
	seen := r.at(u).Requests()
	if got := seen[len(seen)-1].Header.Get("X-Data-Parallel-Rank"); got != strconv.Itoa(u.Rank()) {
		t.Errorf("about a response, %s is told %q", u.Name(), got)
	}
}

// A server without ranks gets no rank.
func TestWholeServersHaveNoRank(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	r.chat("x", "X-Data-Parallel-Rank: 0")
	if got := r.sims[0].Requests()[0].Header.Values("X-Data-Parallel-Rank"); got != nil {
		t.Errorf("the server was told %q", got)
	}
}

// A server that refuses, dies over a request, or is busy does so for all its ranks: another server is next.
func TestAnotherServerIsNextNotAnotherRank(t *testing.T) {
	for fault, fail := range map[string]func(*sim.Server) error{
		"refused": func(s *sim.Server) error { s.Kill(); return nil },
		"reset":   func(s *sim.Server) error { return s.Inject(simfault.Fault{Kind: simfault.Reset}) },
		"503":     func(s *sim.Server) error { return s.Inject(simfault.Fault{Kind: simfault.Status, Arg: "503"}) },
		"leaving": func(s *sim.Server) error { return s.Inject(simfault.Fault{Kind: simfault.ShutdownText}) },
	} {
		t.Run(fault, func(t *testing.T) {
			r := rankedFleet(t, 2, 4)
			r.must(fail(r.sims[0]))
			for n := range 20 {
				r.cold() // no suspicion, no kept connection: each request finds out by itself
				id := fmt.Sprintf("s-%d", n)
				r.pin(id, r.up(n%4))
				a := r.chat("x", "X-Session-Id: "+id)
				rec := r.last()
				if a.StatusCode != 200 || rec.Attempts != 2 || rec.Upstream.Server != r.up(4).Server {
					t.Fatalf("%d after %d attempts, the last at %s", a.StatusCode, rec.Attempts, rec.Upstream.Name())
				}
			}
			if fault == "refused" {
				for i := range 8 {
					if got := r.up(i).State().Suspect(); got != (i < 4) {
						t.Errorf("%s suspect: %v", r.up(i).Name(), got)
					}
				}
			}
		})
	}
}

// Without another server the further ranks of the same one are not tried.
func TestTheOnlyServerIsAskedOnce(t *testing.T) {
	r := rankedFleet(t, 1, 4)
	r.sims[0].Kill()
	a := r.chat("x")
	if rec := r.last(); a.StatusCode != 502 || rec.Attempts != 1 {
		t.Errorf("%d after %d attempts", a.StatusCode, rec.Attempts)
	}
}
