package session

import (
	"testing"

	"tether/session/identity"
	"tether/upstream"
)

// ranked returns a fleet whose servers have ranks.
func ranked(t *testing.T, servers, ranks int) *fleet {
	t.Helper()
	f := newFleet(t, servers, nil)
	for i := range f.specs {
		f.specs[i].Ranks = ranks
	}
	f.apply()
	for _, s := range f.registry.Table().Servers {
		s.SetHealth(upstream.Up, "test")
	}
	return f
}

// Sessions are pinned to ranks, and every rank gets some.
func TestSessionsArePinnedToRanks(t *testing.T) {
	f := ranked(t, 2, 4)
	of := map[string]int{}
	for n := range 400 {
		k := testKey(uint64(n))
		home, _ := f.turn(k)
		u, o := f.turn(k)
		f.want(u, o, home, Pinned)
		of[home.Name()]++
	}
	for _, m := range f.registry.Table().Members {
		if n := of[m.Name()]; n < 20 {
			t.Errorf("%d of 400 sessions at %s: %v", n, m.Name(), of)
		}
	}
}

// The ranks of a server are one process: a request tries one rank of a server only.
func TestRanksAreTriedOnce(t *testing.T) {
	f := ranked(t, 3, 4)
	for n := range 100 {
		r := f.start(Request{Key: testKey(uint64(n))})
		tried := map[*upstream.Server]bool{}
		for u := r.Next(f.now); u != nil; u = r.Next(f.now) {
			if tried[u.Server] {
				t.Fatalf("%s was tried before, at another rank", u.Name())
			}
			tried[u.Server] = true
			if r.More() != (len(tried) < 3) {
				t.Fatalf("after %d servers: more %v", len(tried), r.More())
			}
		}
		if len(tried) != 3 {
			t.Errorf("%d servers were tried, want 3", len(tried))
		}
		r.End(f.now)
	}
}

// When a server goes down, the sessions of its ranks move to ranks of other servers. No other session moves.
func TestRanksDieTogether(t *testing.T) {
	f := ranked(t, 2, 4)
	homes := map[identity.Key]*upstream.Upstream{}
	for n := range 400 {
		k := testKey(uint64(n))
		homes[k], _ = f.turn(k)
	}
	dead := f.registry.Table().ServerNamed("vllm-0")
	dead.SetHealth(upstream.Down, "test")
	got := map[string]int{}
	for k, home := range homes {
		u, o := f.turn(k)
		if home.Server != dead {
			f.want(u, o, home, Pinned)
			continue
		}
		if u.Server == dead || o != Moved {
			t.Fatalf("a session of %s is %v at %s", home.Name(), o, u.Name())
		}
		got[u.Name()]++
	}
	if len(got) != 4 {
		t.Errorf("the moved sessions went to %v", got)
	}
}

// The sessions of a rank that is drained hard move to any other rank, also of the same server.
func TestRanksAreDrainedApart(t *testing.T) {
	f := ranked(t, 2, 4)
	u := f.up("vllm-1@2")
	moved := map[*upstream.Server]int{}
	for n := range 400 {
		k := testKey(uint64(n))
		home, _ := f.turn(k)
		u.Drain(true)
		to, o := f.turn(k)
		if (home == u) != (o == Moved) || to == u {
			t.Fatalf("a session of %s is %v at %s", home.Name(), o, to.Name())
		}
		if o == Moved {
			moved[to.Server]++
		}
		u.Undrain()
	}
	if len(moved) != 2 {
		t.Errorf("moved to %d servers, want 2", len(moved))
	}
}
