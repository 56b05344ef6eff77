package session

import (
	"math"
	"testing"
	"time"

	"tether/session/identity"
	"tether/upstream"
	"tether/upstream/load"
)

func TestShedExceeded(t *testing.T) {
	for _, c := range []struct {
		shed    Shed
		waiting int64
		kv      float64
		want    bool
	}{
		{Shed{}, math.MaxInt64, 1, false},
		{Shed{Waiting: 8}, 8, 1, false},
		{Shed{Waiting: 8}, 9, 0, true},
		{Shed{KV: 0.9}, 1000, 0.9, false},
		{Shed{KV: 0.9}, 0, 0.91, true},
		{Shed{Waiting: 8, KV: 0.9}, 9, 0.1, true},
		{Shed{Waiting: 8, KV: 0.9}, 1, 0.91, true},
		{Shed{Waiting: 8, KV: 0.9}, 8, 0.9, false},
		{Shed{Waiting: 1, KV: 0.01}, load.Unknown, load.Unknown, false},
	} {
		if got := c.shed.exceeded(c.waiting, c.kv); got != c.want {
			t.Errorf("%+v: %d waiting, %v of the cache: %v", c.shed, c.waiting, c.kv, got)
		}
	}
}

// busy makes the server of an upstream say that n requests wait.
func (f *fleet) busy(name string, n int64) {
	upstream.SaidLoads(f.up(name).Server, func(int) load.EngineLoad {
		return load.EngineLoad{Waiting: n, KVUsage: load.Unknown, At: f.now}
	})
}

// begins sends a request of a new session, and reports whether it was shed.
func (f *fleet) begins(req Request) (shed bool) {
	f.t.Helper()
	r := f.start(req)
	defer r.End(f.now)
	e := f.router.Explain(req, f.now)
	if u := r.Next(f.now); u != nil {
		if e.Upstream == nil && e.Steps[0].Verdict != candidate {
			f.t.Errorf("%+v goes to %s, explained as %q", req, name(u), e.Why)
		}
		return false
	}
	full, shed, waits := r.Unanswered(f.now)
	if shed && (full || waits || e.Upstream != nil || e.Why != "new conversations are refused: every upstream that could take it is above session.shed" || r.Outcome() != None) {
		f.t.Errorf("%+v is shed, full %v, outcome %s, explained as %q to %s", req, full, r.Outcome(), e.Why, name(e.Upstream))
	}
	return shed
}

// New conversations are refused while every upstream that could take them is above the limit, and no others are.
func TestShed(t *testing.T) {
	f := newFleet(t, 3, func(c *testConfig) { c.Shed.Waiting = 8 })
	pinned := testKey(1)
	home, _ := f.turn(pinned)
	stored := testKey(2)
	f.router.responses.Set(stored, home.Ref(), f.now)
	next := uint64(100)
	fresh := func() identity.Key { next++; return testKey(next) }
	for _, name := range []string{"vllm-0", "vllm-1"} {
		f.busy(name, 9)
	}
	if f.begins(Request{Key: fresh()}) {
		t.Error("shed, and the load of one server is unknown")
	}
	f.busy("vllm-2", 8)
	if f.begins(Request{Key: fresh()}) {
		t.Error("shed, and one server is below the limit")
	}
	f.busy("vllm-2", 9)
	for what, req := range map[string]Request{
		"a session": {Key: fresh()}, "a random id": {Key: fresh(), Synthetic: true}, "an opening": {Key: fresh(), Shared: true}, "a model": {Key: fresh(), Model: []byte("m")},
	} {
		if !f.begins(req) {
			t.Errorf("%s is not shed", what)
		}
	}
	for what, req := range map[string]Request{
		"a pinned session": {Key: pinned}, "a call without a session": {}, "a stored response": {Response: stored}, "an unknown response": {Response: fresh()},
		"a response in a new session": {Key: fresh(), Response: stored},
	} {
		if f.begins(req) {
			t.Errorf("%s is shed", what)
		}
	}

	// The servers that are not usable do not count, and the pinned session whose server is gone is served.
	home.SetHealth(upstream.Down, "test")
	if !f.begins(Request{Key: fresh()}) || f.begins(Request{Key: pinned}) {
		t.Error("shed counts servers that are down, or an orphan is shed")
	}
	for _, m := range f.registry.Table().Members {
		m.SetHealth(upstream.Down, "test")
	}
	if f.begins(Request{Key: fresh()}) {
		t.Error("shed, and no server is up")
	}
	for _, m := range f.registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
	}
	f.now = f.now.Add(5*time.Second + 1)
	if f.begins(Request{Key: fresh()}) {
		t.Error("shed by old numbers")
	}
}

// Only the servers of the model count, and a refused conversation leaves no pin.
func TestShedByModel(t *testing.T) {
	f := newFleet(t, 2, func(c *testConfig) { c.Shed.KV = 0.5 })
	f.specs[0].Models, f.specs[1].Models = []string{"a"}, []string{"b"}
	f.apply()
	upstream.SaidLoads(f.up("vllm-0").Server, func(int) load.EngineLoad { return load.EngineLoad{KVUsage: 0.51, At: f.now} })
	k := testKey(1)
	if !f.begins(Request{Key: k, Model: []byte("a")}) || f.begins(Request{Key: testKey(2), Model: []byte("b")}) {
		t.Error("a is not shed, or b is")
	}
	if _, pinned := f.router.pins.Peek(k, f.now); pinned {
		t.Error("a refused conversation is pinned")
	}
	f.configure(func(c *Config) { c.Shed = Shed{} })
	if f.begins(Request{Key: k, Model: []byte("a")}) {
		t.Error("shed without a limit")
	}
}
