package upstream

import (
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tether/upstream/models"
)

// onChange is called for changes alone.
func TestOnlyChangesAreReported(t *testing.T) {
	u, heard := newUpstream(t)
	u.SetHealth(Up, "probe succeeded")
	u.SetHealth(Up, "probe succeeded")
	u.ProbeSucceeded()
	u.Suspected("refused")
	u.Suspected("refused")
	u.ProbeSucceeded()
	u.Drain(false)
	u.Drain(true)
	u.Undrain()
	u.SetHealth(TimedOut, "probe timed out")
	want := []string{
		"unknown -> up", "up -> up, suspect", "up, suspect -> up", "up -> up, draining", "up, draining -> up, draining hard",
		"up, draining hard -> up", "up -> down (timeouts)",
	}
	if len(*heard) != len(want) {
		t.Fatalf("heard %q", *heard)
	}
	for i := range want {
		if (*heard)[i] != want[i] {
			t.Errorf("heard %q, want %q", (*heard)[i], want[i])
		}
	}
	if since, reason := u.Since(); reason != "probe timed out" || time.Since(since) > time.Minute {
		t.Errorf("since %v, %q", since, reason)
	}
}

// What is found out about a server holds for all of its ranks, and is one change. Drains and requests in flight are by rank.
func TestRanksAreOneServer(t *testing.T) {
	_, m, heard := ranksOf(t, 3)
	m[0].SetHealth(Up, "test")
	m[1].Drain(false)
	m[2].Suspected("refused")
	m[0].Suspected("refused")
	if got := wordsOf(m); got != "up, suspect | up, suspect, draining | up, suspect" {
		t.Error(got)
	}
	select {
	case <-m[1].ProbeWanted():
	default:
		t.Error("no probe is wanted")
	}
	select {
	case <-m[0].ProbeWanted():
		t.Error("a second probe is wanted")
	default:
	}
	m[0].ProbeSucceeded()
	m[1].SaidLeaving()
	m[0].SaidLeaving()
	if got := wordsOf(m); got != "up, leaving | up, leaving, draining | up, leaving" || !m[2].State().LeavingConfirmed() {
		t.Error(got)
	}
	m[0].SetHealth(Down, "test")
	m[0].SetHealth(Up, "test")
	m[2].Drain(true)
	m[0].Server.Drain(false)
	m[0].Server.Undrain()
	want := []string{
		"a (3): unknown -> up", "a@1 (1): up -> up, draining", "a (3): up -> up, suspect", "a (3): up, suspect -> up",
		"a (3): up -> up, leaving", "a (3): up, leaving -> up, leaving", "a (3): up, leaving -> down, leaving", "a (3): down, leaving -> up",
		"a@2 (1): up -> up, draining hard", "a (2): up -> up, draining", "a (3): up, draining -> up",
	}
	if !slices.Equal(*heard, want) {
		t.Errorf("heard %q\nwant  %q", *heard, want)
	}

	m[0].Begin()
	m[0].Begin()
	m[2].Begin()
	if a, b, c := m[0].InFlight(), m[1].InFlight(), m[2].InFlight(); a != 2 || b != 0 || c != 1 {
		t.Errorf("in flight: %d, %d, %d", a, b, c)
	}
	now := time.Now()
	m[1].Delivered(now)
	if !m[2].LastDelivered().Equal(now) {
		t.Error("a byte of one rank does not count for another")
	}
	m[0].SetModels(models.New([]models.Model{{ID: "tiny"}}))
	m[0].SetNeedsKey(true)
	if !m[2].Models().Has([]byte("tiny")) || !m[1].NeedsKey() {
		t.Error("ranks list different models")
	}
}

// Whatever happens to a server and its ranks, they agree on all that is the server's, and each has its own drains and no others.
func TestRanksAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := NewRegistry(func(c Change) {
			if len(c.Upstreams) == 0 || c.Before == c.After {
				t.Fatalf("heard of no change: %+v", c)
			}
		})
		var drains []State
		apply := func(ranks int, configured bool) {
			shared := ^State(0)
			for _, d := range drains {
				shared &= d
			}
			if len(r.Table().Members) == 0 {
				shared = 0
			}
			for len(drains) < ranks {
				drains = append(drains, shared)
			}
			drains = drains[:ranks]
			for i := range drains {
				drains[i] &^= drainConfigured
				if configured {
					drains[i] |= drainConfigured
				}
			}
			s := ranked("a", "1", ranks)
			s.Drain = configured
			if _, err := r.Apply([]Spec{s}); err != nil {
				t.Fatal(err)
			}
		}
		apply(rapid.IntRange(1, 5).Draw(t, "ranks"), false)
		hard := rapid.Bool()
		one := func(t *rapid.T) int { return rapid.IntRange(0, len(drains)-1).Draw(t, "rank") }
		member := func(i int) Member { return r.Table().Members[i] }
		operate := func(i int, set State) { drains[i] = drains[i]&drainConfigured | set }
		t.Repeat(map[string]func(*rapid.T){
			"health": func(t *rapid.T) {
				member(one(t)).SetHealth(Health(rapid.IntRange(int(Up), int(TimedOut)).Draw(t, "health")), "test")
			},
			"suspected": func(t *rapid.T) { member(one(t)).Suspected("test") },
			"succeeded": func(t *rapid.T) { member(one(t)).ProbeSucceeded() },
			"leaving":   func(t *rapid.T) { member(one(t)).SaidLeaving() },
			"failed":    func(t *rapid.T) { member(one(t)).ProbeFailed() },
			"drain": func(t *rapid.T) {
				i, h := one(t), hard.Draw(t, "hard")
				member(i).Drain(h)
				operate(i, drained(h))
			},
			"undrain": func(t *rapid.T) {
				i := one(t)
				member(i).Undrain()
				operate(i, 0)
			},
			"drain all": func(t *rapid.T) {
				h := hard.Draw(t, "hard")
				member(0).Server.Drain(h)
				for i := range drains {
					operate(i, drained(h))
				}
			},
			"undrain all": func(*rapid.T) {
				member(0).Server.Undrain()
				for i := range drains {
					operate(i, 0)
				}
			},
			"apply": func(t *rapid.T) {
				apply(rapid.IntRange(1, 5).Draw(t, "ranks"), rapid.Bool().Draw(t, "drain"))
			},
			"": func(t *rapid.T) {
				const ofServer = healthMask | suspect | leaving | leavingConfirmed
				for i, m := range r.Table().Members {
					if got, want := m.State(), member(0).State()&ofServer|drains[i]; got != want {
						t.Fatalf("%s is %s (%b), want %b", m.Name(), got.Words(), got, want)
					}
				}
			},
		})
	})
}

// Any number of goroutines may change a server at once.
func TestServersAreSafeForConcurrentUse(t *testing.T) {
	r := NewRegistry(nil)
	mustApply(t, r, ranked("a", "1", 4))
	var all sync.WaitGroup
	for i := range 4 {
		m := r.Table().Members[i]
		for _, act := range []func(){
			func() { m.SetHealth(Up, "test") },
			func() { m.SetHealth(Down, "test") },
			func() { m.Suspected("test") },
			func() { m.SaidLeaving() },
			func() { m.Drain(true) },
			func() { m.Server.Undrain() },
			func() { m.Since() },
			func() { mustApply(t, r, ranked("a", "1", 4+i)) },
		} {
			all.Go(func() {
				for range 100 {
					act()
				}
			})
		}
	}
	all.Wait()
	mustApply(t, r, ranked("a", "1", 4))
	m := r.Table().Members
	m[0].SetHealth(Down, "test")
	m[0].SetHealth(Up, "test")
	m[0].Server.Undrain()
	if got := wordsOf(m); got != "up | up | up | up" {
		t.Error(got)
	}
}
