package main

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"time"

	"tether/bench/simtime"
	"tether/proxy"
	"tether/session"
	"tether/session/identity"
	"tether/session/openings"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/units"
	"tether/upstream"
)

// upstreams is the number of servers.
const upstreams = 8

// world is a fleet in simulated time: the real parser, identify step and router, in front of servers that consist of their
// load and their cache. One goroutine runs it, event by event, so that equal seeds give equal figures.
type world struct {
	random  *rand.Rand
	scale   int // length of the simulation, in tenths
	begun   time.Time
	clock   simtime.Clock
	proxy   *proxy.Proxy
	router  *session.Router
	servers []*server
	load    load
}

// config is what a kind of traffic may change.
type config struct {
	identity identity.Config
	routing  session.Config
	// narrow is true to know every conversation by its opening alone, however many share the opening.
	narrow bool
}

func newWorld(seed uint64, scale int, cfg config) (*world, error) {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), scale: scale, begun: time.Now()}
	remembered := pins.Default()
	w.router = session.NewRouter(cfg.routing, pins.NewMap(remembered.Max, remembered.TTL), pins.NewMap(1000, remembered.TTL), prefill.New(prefill.Default()), splitMix(seed))
	ids, err := identity.NewIdentifier(&cfg.identity, &identity.Models{}, nil)
	if err != nil {
		return nil, err
	}
	registry := upstream.NewRegistry(nil)
	known := openings.NewTable()
	if cfg.narrow {
		known = nil
	}
	w.proxy, err = proxy.New(proxy.Settings{Config: proxy.Default(), Identifier: ids}, proxy.Deps{
		Registry: registry, Router: w.router, Openings: known, MemoryLimit: int64(units.GiB),
	})
	if err != nil {
		return nil, err
	}
	return w, w.populate(registry)
}

// splitMix returns the router's draws: SplitMix64, one step of the state for each number below n. Another generator would
// change the scorecard.
func splitMix(state uint64) func(n int) int {
	return func(n int) int {
		state += 0x9e3779b97f4a7c15
		x := (state ^ state>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		below, _ := bits.Mul64(x^x>>31, uint64(n))
		return int(below)
	}
}

// populate adds the servers.
func (w *world) populate(registry *upstream.Registry) error {
	var specs []upstream.Spec
	for n := range upstreams {
		specs = append(specs, upstream.Spec{Name: fmt.Sprint("vllm-", n), Slot: n, Weight: 100})
	}
	if _, err := registry.Apply(specs); err != nil {
		return err
	}
	for _, m := range registry.Table().Members {
		m.SetHealth(upstream.Up, "simulated")
		w.servers = append(w.servers, &server{Upstream: m.Upstream, seen: blocks{}})
	}
	return w.router.Use(registry.Table(), nil)
}

// The time of an answer: for each token of the prompt that is not in the cache, and for each token of the answer.
const (
	readPerToken  = time.Second / 10_000
	writePerToken = time.Second / 40
)

// server is a simulated server.
type server struct {
	*upstream.Upstream
	seen blocks
	busy float64 // requests in flight, integrated over time, in request-seconds
}

// answered is the result of a request.
type answered struct {
	by                  *server
	tokens, found, kept int // of the prompt: all, those in the server's cache, those in the cache of the server before
}

// ask sends a request, and calls then when the server has written the answer. prompt is what the server reads, before the
// server of the turn before, nil for the first turn.
func (w *world) ask(raw []byte, prompt, answer string, before *server, then func(answered) error) error {
	r := w.proxy.Read(raw, w.time(), true)
	if r.Status != 0 {
		return fmt.Errorf("the request is answered %d: %s", r.Status, r.Refused)
	}
	route := new(session.Route)
	w.router.Start(route, r.Request, w.time())
	u := route.Next(w.time())
	if u == nil {
		return fmt.Errorf("no upstream takes the request")
	}
	a := answered{by: w.serverOf(u), tokens: count(prompt)}
	chain := chainOf(prompt)
	a.found = a.by.seen.match(chain) * blockTokens
	if before != nil {
		a.kept = before.seen.match(chain) * blockTokens
	}
	a.by.seen.add(chain)
	took := time.Duration(a.tokens-a.found)*readPerToken + time.Duration(count(answer))*writePerToken
	w.clock.After(took, func() error {
		route.Answered(200, w.time())
		route.End(w.time())
		a.by.seen.add(chainOf(prompt + answer))
		return then(a)
	})
	return nil
}

func (w *world) serverOf(u *upstream.Upstream) *server {
	for _, s := range w.servers {
		if s.Upstream == u {
			return s
		}
	}
	panic("BUG: an upstream without a server")
}

func (w *world) time() time.Time { return w.begun.Add(w.clock.Now()) }

// turns scales a number of turns or rounds.
func (w *world) turns(n int) int { return max(2, n*w.scale/10) }
