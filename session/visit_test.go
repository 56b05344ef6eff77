package session

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tether/session/balance"
	"tether/session/identity"
	"tether/upstream"
)

// Whatever happens to requests, in whatever order, every upstream is charged with exactly the requests that are there, and in the end
// with nothing.
func TestChargesAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		placement := rapid.SampledFrom([]balance.Placement{balance.Auto, balance.Home}).Draw(rt, "placement")
		f := newBusyFleet(t, 4, func(cfg *testConfig) {
			cfg.Balance.Placement = placement
			cfg.Return = rapid.SampledFrom([]Return{Stay, Home}).Draw(rt, "return")
		})
		members := f.registry.Table().Members
		var open [6]*Route
		route := func(t *rapid.T) **Route { return &open[rapid.IntRange(0, len(open)-1).Draw(t, "route")] }
		started := func(do func(r *Route, t *rapid.T)) func(*rapid.T) {
			return func(t *rapid.T) {
				if r := *route(t); r != nil {
					do(r, t)
				}
			}
		}
		attempted := func(do func(r *Route, t *rapid.T)) func(*rapid.T) {
			return started(func(r *Route, t *rapid.T) {
				if r.Last() != nil {
					do(r, t)
				}
			})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"start": func(t *rapid.T) {
				r := route(t)
				if *r == nil {
					*r = f.start(Request{
						Key: identity.Key{Hi: rapid.Uint64Range(0, 5).Draw(t, "session"), Lo: 7}, Model: []byte("m"),
						Bytes: rapid.Int64Range(0, 1_000_000).Draw(t, "bytes"), Streams: rapid.Bool().Draw(t, "streams"),
						Shared: rapid.Bool().Draw(t, "shared"), Response: identity.Key{Lo: rapid.Uint64Range(0, 2).Draw(t, "response")},
					})
				}
			},
			"next":       started(func(r *Route, _ *rapid.T) { r.Next(f.now) }),
			"refused":    attempted(func(r *Route, _ *rapid.T) { r.Refused() }),
			"failed":     attempted(func(r *Route, _ *rapid.T) { r.Failed(time.Second, f.now) }),
			"unanswered": attempted(func(r *Route, _ *rapid.T) { r.Unanswered(f.now) }),
			"answered": attempted(func(r *Route, t *rapid.T) {
				r.Answered(rapid.SampledFrom([]int{101, 200, 400, 503}).Draw(t, "status"), f.now)
			}),
			"generated": attempted(func(r *Route, _ *rapid.T) { r.Generated(f.now) }),
			"leave":     attempted(func(r *Route, _ *rapid.T) { r.Leave(f.now) }),
			"end": func(t *rapid.T) {
				if r := route(t); *r != nil {
					(*r).End(f.now)
					*r = nil
				}
			},
			"time": func(t *rapid.T) {
				f.now = f.now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			},
			"health": func(t *rapid.T) {
				health := rapid.SampledFrom([]upstream.Health{upstream.Up, upstream.Up, upstream.Down, upstream.TimedOut}).Draw(t, "health")
				members[rapid.IntRange(0, 3).Draw(t, "upstream")].SetHealth(health, "test")
			},
			"": func(t *rapid.T) {
				tunnels := map[*upstream.Upstream]int64{}
				streams, all, inFlight := map[*upstream.Upstream]int64{}, map[*upstream.Upstream]int64{}, map[*upstream.Upstream]int64{}
				for _, r := range open {
					if r == nil || r.at == nil {
						continue
					}
					if inFlight[r.at]++; r.tunnel {
						tunnels[r.at]++
					}
					if !r.charged.IsCharged() {
						continue
					}
					all[r.at] += r.charged.Work
					if r.charged.Streams {
						streams[r.at] += r.charged.Work
					}
				}
				for _, m := range members {
					u := m.Upstream
					if q := u.Queue(f.now); q.Tokens < streams[u] || q.Tokens > all[u] || u.InFlight() != inFlight[u] || u.Tunnels() != tunnels[u] {
						t.Fatalf("%s: %+v and %d in flight; charges of %d, %d of streams, %d in flight", u.Name(), q, u.InFlight(), all[u], streams[u], inFlight[u])
					}
				}
			},
		})
		for _, r := range open {
			if r != nil {
				r.End(f.now)
			}
		}
		for _, m := range members {
			if q := m.Queue(f.now); q.Tokens != 0 || m.InFlight() != 0 || m.Tunnels() != 0 {
				rt.Fatalf("%s: %+v, %d in flight and %d tunnels after all", m.Name(), q, m.InFlight(), m.Tunnels())
			}
		}
	})
}

// A route that begins again before its end would leave its charge behind.
func TestRouteBeginsOnce(t *testing.T) {
	f := newFleet(t, 1, nil)
	r := f.start(Request{})
	r.Next(f.now)
	defer func() {
		if recover() == nil {
			t.Error("a route began twice")
		}
	}()
	f.router.Start(r, Request{}, f.now)
}

// Turns of upstreams follow their weights.
func TestTurnOf(t *testing.T) {
	for _, c := range []struct {
		weights []int
		want    [3]uint64 // ahead of the count of choices, in turns
	}{{[]int{100, 100, 100}, [3]uint64{}}, {[]int{100, 50, 0}, [3]uint64{0, 1, 0}}, {[]int{100, 10, 100}, [3]uint64{0, 18, 0}}} {
		f := newFleet(t, 3, nil)
		for i, w := range c.weights {
			f.specs[i].Weight = w
		}
		f.apply()
		for i, want := range c.want {
			if got := f.router.turnOf(f.router.view.Load(), i); got != turnUnit*(uint64(i+1)+want) {
				t.Errorf("weights %v, upstream %d: %d, want %d", c.weights, i, got, turnUnit*(uint64(i+1)+want))
			}
		}
	}
}

// A request finds its upstream idle if no other prompt waits there. What is generated already does not count.
func TestFoundIdle(t *testing.T) {
	f := newBusyFleet(t, 1, nil)
	begin := func(session uint64) *Route {
		r := f.start(Request{Key: identity.Key{Hi: session, Lo: 7}, Model: []byte("m"), Bytes: 10_000, Streams: true})
		if r.Next(f.now) == nil {
			t.Fatal("no upstream")
		}
		return r
	}
	first, second := begin(1), begin(2)
	if !first.FoundIdle() || second.FoundIdle() {
		t.Errorf("the first found its upstream idle: %v, the second: %v", first.FoundIdle(), second.FoundIdle())
	}
	first.Generated(f.now)
	second.Generated(f.now)
	third := begin(3)
	if !third.FoundIdle() {
		t.Error("requests whose prompts are computed keep others from finding an idle upstream")
	}
	for _, r := range []*Route{first, second, third} {
		r.End(f.now)
	}
}
