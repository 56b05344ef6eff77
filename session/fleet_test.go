package session

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/upstream"
	"tether/upstream/models"
	"tether/upstream/transport"
)

// testKey returns a key that is well mixed, as real keys are.
func testKey(n uint64) identity.Key {
	return identity.Key{Hi: n*0x9e3779b97f4a7c15 + 1, Lo: (n + 7) * 0xbf58476d1ce4e5b9}
}

func newIdentifier(t testing.TB) *identity.Identifier {
	t.Helper()
	cfg := identity.Default()
	id, err := identity.NewIdentifier(&cfg, &identity.Models{}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// testConfig is the configuration of a fleet.
type testConfig struct {
	Config
	Pins pins.Config
}

// fleet is a router over upstreams without servers: the test sets their states.
type fleet struct {
	t        testing.TB
	registry *upstream.Registry
	router   *Router
	specs    []upstream.Spec
	now      time.Time
}

func newFleet(t testing.TB, n int, change func(*testConfig)) *fleet {
	t.Helper()
	cfg := testConfig{Config: Default(), Pins: pins.Config{TTL: time.Hour, Max: 1000}}
	if change != nil {
		change(&cfg)
	}
	f := &fleet{t: t, registry: upstream.NewRegistry(nil), router: NewRouter(cfg.Config, pins.NewMap(cfg.Pins.Max, cfg.Pins.TTL), pins.NewMap(1000, ResponsesTTL), prefill.New(prefill.Default()), rand.IntN), now: time.Now()}
	for i := range n {
		f.specs = append(f.specs, upstream.Spec{
			Name: fmt.Sprintf("vllm-%d", i), Address: transport.Address{Network: "tcp", Dial: fmt.Sprintf("127.0.0.1:%d", i+1)}, Slot: i, Weight: 100,
		})
	}
	f.apply()
	for _, m := range f.registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
	}
	return f
}

func (f *fleet) apply() {
	f.t.Helper()
	gone, err := f.registry.Apply(f.specs)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.router.Use(f.registry.Table(), gone); err != nil {
		f.t.Fatal(err)
	}
}

// configure changes the router's settings.
func (f *fleet) configure(change func(*Config)) {
	cfg := f.router.view.Load().cfg
	change(&cfg)
	f.router.Configure(cfg)
}

func (f *fleet) up(name string) *upstream.Upstream { return f.registry.Table().Named(name).Upstream }

func (f *fleet) start(req Request) *Route {
	r := new(Route)
	f.router.Start(r, req, f.now)
	return r
}

// turn is one request whose first attempt is answered with 200.
func (f *fleet) turn(k identity.Key) (*upstream.Upstream, Outcome) {
	f.t.Helper()
	return f.answer(Request{Key: k}, 200)
}

func (f *fleet) answer(req Request, status int) (*upstream.Upstream, Outcome) {
	f.t.Helper()
	r := f.start(req)
	defer r.End(f.now)
	u := r.Next(f.now)
	if u == nil {
		return nil, r.Outcome()
	}
	r.Answered(status, f.now)
	return u, r.Outcome()
}

func (f *fleet) want(gotU *upstream.Upstream, got Outcome, wantU *upstream.Upstream, want Outcome) {
	f.t.Helper()
	if gotU != wantU || got != want {
		f.t.Fatalf("%s at %v, want %s at %v", got, name(gotU), want, name(wantU))
	}
}

func name(u *upstream.Upstream) string {
	if u == nil {
		return "no upstream"
	}
	return u.Name()
}

func modelList(ids ...string) *models.List {
	var list []models.Model
	for _, id := range ids {
		list = append(list, models.Model{ID: id})
	}
	return models.New(list)
}
