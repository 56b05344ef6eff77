package status

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tether/failure"
	"tether/proxy"
	"tether/session"
	"tether/session/balance"
	"tether/session/fates"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// observed is a collector over upstreams without servers.
type observed struct {
	*Collector
	t        testing.TB
	registry *upstream.Registry
}

func observe(t testing.TB, names ...string) *observed {
	t.Helper()
	o := &observed{t: t}
	o.registry = registryOf(t, func(c upstream.Change) { o.Changed(c) }, names...)
	sessions := pins.NewMap(1000, time.Hour)
	router := session.NewRouter(session.Default(), sessions, pins.NewMap(1000, time.Hour), prefill.New(prefill.Default()), rand.IntN)
	if err := router.Use(o.registry.Table(), nil); err != nil {
		t.Fatal(err)
	}
	o.Collector = New(Deps{
		Version: "v1", Registry: o.registry, Router: router, Pins: sessions, Fates: fates.NewTally(), Clients: func() (int, int64) { return 5, 3 },
	})
	return o
}

func (o *observed) up(i int) *upstream.Upstream { return o.registry.Table().Members[i].Upstream }

// status returns the status at a time.
func (o *observed) status(now time.Time) (s Status) {
	o.t.Helper()
	if err := json.Unmarshal(o.Status(now), &s); err != nil {
		o.t.Fatal(err)
	}
	return s
}

// answered is the record of a turn that u answered.
func answered(u *upstream.Upstream, outcome session.Outcome) proxy.Record {
	return proxy.Record{
		Key: identity.Key{Hi: 1, Lo: 1}, Upstream: u, Outcome: outcome, Status: 200, Model: []byte("m"), PromptTokens: 1000, CachedTokens: 500, Fates: fates.Split{Hit: 500, New: 400, Lost: 100, Cause: fates.Evicted},
		FirstByte: 20 * time.Millisecond, Tries: []proxy.Try{{Upstream: u}}, Started: time.Now(),
	}
}

// Requests count at their upstream and in all, the failed attempts before them at the upstreams that failed.
func TestDone(t *testing.T) {
	o := observe(t, "a", "b")
	now := time.Now()
	o.step(now)
	r := answered(o.up(0), session.Pinned)
	for range 3 {
		o.Done(&r)
	}
	moved := answered(o.up(1), session.Moved)
	moved.From, moved.Away = o.up(0), balance.Lost
	moved.Tries = []proxy.Try{{Upstream: o.up(0), Failure: failure.Refused}, {Upstream: o.up(1)}}
	o.Done(&moved)
	refused := proxy.Record{Status: 503, PromptTokens: -1, CachedTokens: -1}
	o.Done(&refused)

	s := o.status(now.Add(10 * time.Second))
	a, b := s.Now.Upstreams[0], s.Now.Upstreams[1]
	if a.Name != "a" || a.Minute.Requests != 3 || a.Minute.Errors != 1 || a.Rate != 0.3 || b.Minute.Requests != 1 || b.Minute.Errors != 0 {
		t.Errorf("%+v\n%+v", a, b)
	}
	all := s.Now.Minute
	if all.Requests != 5 || all.Errors != 2 || all.Outcomes["pinned"] != 3 || all.Outcomes["moved"] != 1 {
		t.Errorf("%+v", all)
	}
	if s.Now.Total.Requests != 5 || s.Now.Connections != 5 || s.Now.InFlight != 3 || s.Now.Version != "v1" {
		t.Errorf("%+v", s.Now)
	}
	if m := s.Now.Moves; len(m) != 1 || m[0].From != "a" || m[0].To != "b" || m[0].Why != "down" || m[0].Count != 1 {
		t.Errorf("%+v", m)
	}
	if len(s.Past.Samples) != 2 || s.Past.Samples[1].Outcomes["pinned"] != 3 || !slices.Equal(s.Past.Upstreams["a"].Requests, []uint32{0, 3}) ||
		!slices.Equal(s.Past.Upstreams["a"].Errors, []uint32{0, 1}) || s.Now.Upstreams[0].Sample != [2]uint32{3, 1} {
		t.Errorf("%+v", s.Past)
	}
}

// An upstream that was removed is forgotten, also if a request of it ends later.
func TestRemovedUpstreams(t *testing.T) {
	o := observe(t, "a", "b")
	gone, before := o.up(1), o.registry.Table()
	now := time.Now()
	o.step(now)
	if _, err := o.registry.Apply(specsOf("a")); err != nil {
		t.Fatal(err)
	}
	o.Replaced(before, o.registry.Table())
	for i := range 3 {
		r := answered(gone, session.Pinned)
		o.Done(&r)
		o.step(now.Add(time.Duration(i+1) * sampleEvery))
		n := 0
		for i := range o.each {
			if o.each[i].Load() != nil {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d upstreams are kept", n)
		}
	}
	s := o.status(now.Add(time.Minute))
	if len(s.Now.Upstreams) != 1 || len(s.Past.Upstreams) != 1 || s.Now.Total.Requests != 3 {
		t.Errorf("%+v", s.Now)
	}
	if e := s.Past.Events; len(e) != 1 || e[0].Kind != "upstreams" || e[0].Text != "0 upstreams added, 1 removed: 1 in all" {
		t.Errorf("%+v", e)
	}
	if turns := o.Seen(identity.Key{Hi: 1, Lo: 1}, now).Turns; len(turns) != 3 || turns[0].Upstream != "" {
		t.Errorf("%+v", turns)
	}
}

// A request that ends after its upstream has left its seat to another counts for neither of the two, but for all together.
func TestReplacedUpstreams(t *testing.T) {
	o := observe(t, "a", "b")
	gone := o.up(1)
	for _, names := range [][]string{{"a"}, {"a", "c"}} {
		if _, err := o.registry.Apply(specsOf(names...)); err != nil {
			t.Fatal(err)
		}
	}
	next := o.up(1)
	if next.Ref().Seat() != gone.Ref().Seat() {
		t.Fatal("c has a seat of its own")
	}
	for _, u := range []*upstream.Upstream{gone, next, gone} {
		r := answered(u, session.Pinned)
		o.Done(&r)
	}
	sum, all := o.of(next).load(), o.all.load()
	if sum.requests != 1 || all.requests != 3 {
		t.Errorf("%d requests at c, %d at all, want 1 and 3", sum.requests, all.requests)
	}
}

// Open pages get a snapshot each second, one soon after a change of state, and an end.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observe(t, "a")
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- o.Run(ctx) }()
		page, err := o.Open()
		if err != nil || o.Pages() != 1 {
			t.Fatal(err, o.Pages())
		}
		next := func(within time.Duration) (s Snapshot) {
			t.Helper()
			began := time.Now()
			if err := json.Unmarshal(<-page.Snapshots, &s); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > within {
				t.Errorf("a snapshot after %v, want %v", took, within)
			}
			return s
		}
		for range 5 {
			next(tick)
		}
		time.Sleep(restTime + 1)
		o.up(0).SetHealth(upstream.Up, "probe succeeded")
		if s := next(0); s.Upstreams[0].State != "up" || len(s.Events) != 1 || s.Events[0].Kind != "up" {
			t.Errorf("%+v", s)
		}
		for range 50 { // a storm of changes is a few snapshots
			o.up(0).SetHealth(upstream.Down, "")
			o.up(0).SetHealth(upstream.Up, "")
		}
		next(restTime)
		o.Happened("reload", "the configuration was reloaded: 1 changed keys")
		if s := next(restTime); len(s.Events) != 102 || s.Events[101].Kind != "reload" {
			t.Errorf("%d events", len(s.Events))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for range page.Snapshots { // until it is closed
		}
	})
}

// A session is remembered with its pin and its turns.
func TestSeen(t *testing.T) {
	o := observe(t, "a", "b")
	now := time.Now()
	k := identity.Key{Hi: 1, Lo: 1}
	if s := o.Seen(k, now); s.Last != nil || len(s.Turns) != 0 {
		t.Errorf("%+v", s)
	}
	o.deps.Pins.Set(k, o.up(0).Ref(), now.Add(-time.Minute))
	r := answered(o.up(0), session.New)
	o.Done(&r)
	r = answered(o.up(1), session.Spilled)
	r.Away, r.CachedTokens = balance.Full, -1
	o.Done(&r)
	s := o.Seen(k, now)
	if s.Last == nil || now.Sub(*s.Last) < 59*time.Second || len(s.Turns) != 2 {
		t.Fatalf("%+v", s)
	}
	if one := s.Turns[0]; one.Upstream != "b" || one.Outcome != "spilled" || one.Away != "full" || one.Cached != nil || *one.Prompt != 1000 || one.Fate != "evicted" || one.Status != 200 {
		t.Errorf("%+v", one)
	}
}

// A move by an operator, and one that follows a stored response, have their own words.
func TestReasonsOfMoves(t *testing.T) {
	o := observe(t, "a", "b")
	o.Moved(o.up(0), o.up(1), ByOperator)
	o.Moved(o.up(1), o.up(0), balance.Stayed.String())
	m := o.status(time.Now()).Now.Moves
	if len(m) != 2 || m[0].Why != "operator" || m[1].Why != "response" {
		t.Errorf("%+v", m)
	}
}

// No snapshot has an address, and every name in it is text of JSON.
func TestHostileNames(t *testing.T) {
	name := "</script><img src=x onerror=alert(1)>\x00\x1b[2J\u202e" + strings.Repeat("x", 10_000)
	o := observe(t, name)
	r := answered(o.up(0), session.Pinned)
	o.Done(&r)
	text := o.Status(time.Now())
	if strings.Contains(string(text), "10.9.8.7") || strings.ContainsAny(string(text), "<\x00\x1b\n") {
		t.Errorf("%.400q", text)
	}
	if got := o.status(time.Now()).Now.Upstreams[0].Name; got != name {
		t.Errorf("%.100q", got)
	}
}

// Counting a request allocates nothing.
func TestDoneAllocatesNothing(t *testing.T) {
	o := observe(t, "a", "b")
	r := answered(o.up(0), session.Pinned)
	o.Done(&r)
	if n := testing.AllocsPerRun(100, func() { o.Done(&r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDone(b *testing.B) {
	o := observe(b, "a", "b")
	r := answered(o.up(0), session.Pinned)
	b.ReportAllocs()
	for b.Loop() {
		o.Done(&r)
	}
}

// BenchmarkSnapshot computes a snapshot of 512 upstreams with 10,000 sessions.
func BenchmarkSnapshot(b *testing.B) {
	var names []string
	for i := range 512 {
		names = append(names, "vllm-"+strings.Repeat("0", 3)+string(rune('a'+i%26))+time.Duration(i).String())
	}
	o := observe(b, names...)
	o.deps.Pins = pins.NewMap(100_000, time.Hour)
	now := time.Now()
	for i := range uint64(10_000) {
		o.deps.Pins.Set(identity.Key{Hi: i, Lo: i}, o.up(int(i)%512).Ref(), now)
	}
	o.step(now)
	b.ReportAllocs()
	var text []byte
	for b.Loop() {
		o.mu.Lock()
		text = mustJSON(o.snapshotLocked(now))
		o.mu.Unlock()
	}
	b.ReportMetric(float64(len(text)), "bytes")
}
