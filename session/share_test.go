package session

import (
	"testing"
	"time"

	"tether/session/balance"
	"tether/session/pins"
	"tether/session/shared"
	"tether/upstream"
)

// sharingFleet returns a fleet whose changes are in a queue.
func sharingFleet(t *testing.T, n int, change func(*testConfig)) (*fleet, *shared.Queue) {
	t.Helper()
	f, q := newFleet(t, n, change), shared.NewQueue()
	f.router.Shares = q
	return f, q
}

// told returns what was told since the last call.
func told(q *shared.Queue) []shared.Change {
	all, _ := q.Take(nil)
	return all
}

// homeOfKey is the upstream that the ring gives a key.
func (f *fleet) homeOfKey(req Request) *upstream.Upstream {
	return f.router.Explain(req, f.now).Home
}

func change(u *upstream.Upstream, req Request, home bool) shared.Change {
	return shared.Change{Sighting: shared.Sighting{Subject: shared.Subject{Key: req.Key}, At: u.Name()}, Home: home}
}

// A session that begins, moves, moves back or is forgotten is told, and whether it is at home. One that only goes on is not.
func TestChangesAreTold(t *testing.T) {
	f, q := sharingFleet(t, 3, nil)
	req := Request{Key: testKey(1)}
	home := f.homeOfKey(req)
	want := func(what string, all ...shared.Change) {
		t.Helper()
		got := told(q)
		if len(got) != len(all) {
			t.Fatalf("%s: told %+v", what, got)
		}
		for i := range all {
			if got[i] != all[i] {
				t.Errorf("%s: told %+v, want %+v", what, got[i], all[i])
			}
		}
	}
	f.turn(req.Key)
	want("begins", change(home, req, true))
	f.turn(req.Key)
	want("goes on")
	home.SetHealth(upstream.Down, "test")
	next, o := f.turn(req.Key)
	if o != Moved {
		t.Fatal(o)
	}
	want("moves", change(next, req, false))
	home.SetHealth(upstream.Up, "test")
	f.router.Repin(req.Key, home, f.now)
	want("is moved by an operator", change(home, req, false))
	f.router.Forget(req.Key, f.now)
	want("is forgotten", shared.Change{Sighting: shared.Sighting{Subject: shared.Subject{Key: req.Key}}})
	f.turn(req.Key)
	told(q)
	r := f.start(req)
	r.Next(f.now)
	r.Answered(200, f.now)
	Finish(r, f.now)
	r.End(f.now)
	want("is over", shared.Change{Sighting: shared.Sighting{Subject: shared.Subject{Key: req.Key}}, Home: true})
}

// A move that the upstream refuses is told, and so is the return.
func TestMovesBackAreTold(t *testing.T) {
	f, q := sharingFleet(t, 2, nil)
	req := Request{Key: testKey(1)}
	home, _ := f.turn(req.Key)
	told(q)
	home.SetHealth(upstream.Down, "test")
	r := f.start(req)
	next := r.Next(f.now)
	if got := told(q); len(got) != 1 || got[0] != change(next, req, false) {
		t.Fatalf("%+v", got)
	}
	r.Failed(time.Millisecond, f.now)
	r.Unanswered(f.now)
	r.End(f.now)
	if got := told(q); len(got) != 1 || got[0] != change(home, req, true) {
		t.Fatalf("%+v", got)
	}
}

// A request that fails leaves no pin, and tells nothing.
func TestUnconfirmedPinsAreNotTold(t *testing.T) {
	f, q := sharingFleet(t, 2, nil)
	r := f.start(Request{Key: testKey(1)})
	r.Next(f.now)
	r.Unanswered(f.now)
	r.End(f.now)
	if got := told(q); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// A stored response is told, wherever it is.
func TestStoredResponsesAreTold(t *testing.T) {
	f, q := sharingFleet(t, 2, nil)
	r := f.start(Request{})
	u := r.Next(f.now)
	r.Answered(200, f.now)
	r.Learn(testKey(9), f.now)
	r.End(f.now)
	want := shared.Change{Sighting: shared.Sighting{Subject: shared.Subject{Key: testKey(9), Response: true}, At: u.Name()}}
	if got := told(q); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
}

// A conversation that goes on is at home if no process has told of it. That holds while home is draining or busy too, and its turn is no new
// session. Without a store it is new.
func TestUnknownConversationsAreAtHome(t *testing.T) {
	f, q := sharingFleet(t, 3, nil)
	req := Request{Key: testKey(1), Continues: true}
	home := f.homeOfKey(req)
	home.Drain(false)
	e := f.router.Explain(req, f.now)
	u, o := f.answer(req, 200)
	if u != home || o != Pinned || e.Upstream != home || e.Outcome != Pinned {
		t.Errorf("%v at %s, explained as %v at %s", o, name(u), e.Outcome, name(e.Upstream))
	}
	if got := told(q); len(got) > 0 {
		t.Errorf("told %+v", got)
	}
	home.Undrain()
	gone := Request{Key: testKey(2), Continues: true}
	home = f.homeOfKey(gone)
	home.SetHealth(upstream.Down, "test")
	u, o = f.answer(gone, 200)
	if o != Moved || u == home {
		t.Errorf("%v at %s", o, name(u))
	}
	if got := told(q); len(got) != 1 || got[0] != change(u, gone, false) {
		t.Errorf("told %+v", got)
	}
	alone := newFleet(t, 3, nil)
	alone.homeOfKey(req).Drain(false)
	if _, o := alone.answer(req, 200); o != New {
		t.Errorf("without a store: %v", o)
	}
}

// With a store, auto is load, whatever the detector of replicas has seen.
func TestPlacementWithAStore(t *testing.T) {
	f, _ := sharingFleet(t, 2, nil)
	now := f.now.Add(time.Hour)
	for range 100 {
		f.router.Replicas.Note(false, now)
	}
	if inForce, why := f.router.Placement(); inForce != "load" || why != "" {
		t.Errorf("%s, %s", inForce, why)
	}
}

// What this process has charged since the last turn that it knows says nothing about the cache: another one may have served turns since.
func TestCachesAreNotGoneWithAStore(t *testing.T) {
	for _, shares := range []bool{false, true} {
		f := newBusyFleet(t, 3, nil)
		if shares {
			f.router.Shares = shared.NewQueue()
		}
		k := f.homeOf(1)
		pinned := f.registry.Table().Members[0]
		f.router.pins.Bind(k, pinned.Ref(), false, f.now)
		mark, settle := f.owe(0, 19_000)
		f.router.pins.Note(k, pinned.Ref(), pins.Turn{Prompt: 19_000, Mark: mark}, true, f.now)
		settle()
		_, settle = f.owe(0, 903_000)
		settle()
		r := f.start(prompt(k, 20_000))
		r.Next(f.now)
		want := balance.Gone
		if shares {
			want = balance.Stayed
		}
		if r.away != want {
			t.Errorf("shares %v: away because of %q", shares, r.away)
		}
		r.End(f.now)
	}
}

// A session that goes on has most of its prompt in the cache of its upstream, also if other processes have served its turns.
func TestTurnsOfOthers(t *testing.T) {
	for _, c := range []struct {
		name      string
		continues bool
		last      int64 // prompt of the last turn that this process knows
		backlog   int64
		stays     bool
		work      int64
	}{
		{"goes on", true, 0, 96_000 + 2*16_000, true, 4000},
		{"goes on, and its upstream is busier", true, 0, 96_000 + 2*16_000 + 1, false, 20_000},
		{"may be new", false, 0, 96_000, true, 20_000},
		{"may be new, and its upstream is busier", false, 0, 96_001, false, 20_000},
		{"an old turn is known", true, 5000, 96_000 + 2*16_000, true, 4000},
		{"the last turn is known", true, 19_000, 96_000 + 2*19_000, true, 1000},
	} {
		f := newBusyFleet(t, 2, nil)
		f.router.Shares = shared.NewQueue()
		k, pinned := f.homeOf(1), f.registry.Table().Members[0]
		pins.Follow(f.router.pins, k, pinned.Ref(), 0, f.now)
		f.router.pins.Note(k, pinned.Ref(), pins.Turn{Prompt: c.last}, true, f.now)
		f.owe(0, c.backlog)
		req := prompt(k, 20_000)
		req.Continues = c.continues
		r := f.start(req)
		if u := r.Next(f.now); (u == pinned.Upstream) != c.stays || r.charged.Work != c.work {
			t.Errorf("%s: %s with %d tokens of work", c.name, name(u), r.charged.Work)
		}
		r.End(f.now)
	}
}

// A session without a pin is looked up at its home, and can be moved and forgotten there, if it is known which model counts.
func TestLookupOfUnknownSessions(t *testing.T) {
	f, q := sharingFleet(t, 3, nil)
	id := newIdentifier(t)
	f.up("vllm-0").SetModels(modelList("m"))
	hits := f.router.Lookup(id, []byte("s"), []string{"m", ""}, f.now)
	if len(hits) != 2 || !hits[0].Home || hits[0].Hashed || !hits[1].Hashed || hits[0].Upstream != f.homeOfKey(Request{Key: hits[0].Key, Model: []byte("m")}) {
		t.Fatalf("%+v", hits)
	}
	to := f.up("vllm-1")
	if !f.router.Repin(hits[0].Key, to, f.now) {
		t.Error("not moved")
	}
	if got := f.router.Lookup(id, []byte("s"), []string{"m", ""}, f.now); len(got) != 1 || got[0].Home || got[0].Upstream != to {
		t.Errorf("%+v", got)
	}
	if f.router.Forget(hits[1].Key, f.now); len(told(q)) != 2 {
		t.Error("not told")
	}
	f.up("vllm-0").SetModels(modelList("m", "n"))
	if hits := f.router.Lookup(id, []byte("t"), []string{"m", "n", ""}, f.now); len(hits) != 0 {
		t.Errorf("%+v under one of two models", hits)
	}
}

// Another upstream makes strays of the sessions whose home it is, and of no others.
func TestStrays(t *testing.T) {
	f, _ := sharingFleet(t, 3, nil)
	const sessions = 300
	at := map[uint64]*upstream.Upstream{}
	for n := range uint64(sessions) {
		at[n], _ = f.turn(testKey(n))
	}
	strays := func() (n int) {
		Strays(f.router, f.now, func(s *shared.Sighting) { n++ })
		return n
	}
	if n := strays(); n != 0 {
		t.Errorf("%d of %d sessions at home are strays", n, sessions)
	}
	f.specs = append(f.specs, upstream.Spec{Name: "vllm-3", Address: f.specs[0].Address, Slot: 3, Weight: 100})
	f.specs[3].Address.Dial = "127.0.0.1:9"
	f.apply()
	moved := 0
	for n := range uint64(sessions) {
		if f.homeOfKey(Request{Key: testKey(n)}) != at[n] {
			moved++
		}
	}
	if n := strays(); n != moved || n < sessions/8 {
		t.Errorf("%d strays, and %d sessions have another home", n, moved)
	}
}
