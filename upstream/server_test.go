package upstream

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tether/upstream/models"
	"tether/upstream/transport"
)

func ranked(name, dial string, ranks int) Spec {
	s := spec(name, dial)
	s.Ranks = ranks
	return s
}

// ranksOf is a server of n ranks, and what is heard of it.
func ranksOf(t *testing.T, n int) (*Registry, []Member, *[]string) {
	t.Helper()
	var heard []string
	r := NewRegistry(func(c Change) {
		heard = append(heard, fmt.Sprintf("%s (%d): %s -> %s", c.Name(), len(c.Upstreams), c.Before.Words(), c.After.Words()))
	})
	mustApply(t, r, ranked("a", "1", n))
	return r, r.Table().Members, &heard
}

func wordsOf(members []Member) string {
	var words []string
	for _, m := range members {
		words = append(words, m.State().Words())
	}
	return strings.Join(words, " | ")
}

func TestRanks(t *testing.T) {
	r := NewRegistry(nil)
	a, b := ranked("a", "1", 3), ranked("b", "2", 3)
	a.Slot, b.Slot, b.Weight = 5, 0, 50
	mustApply(t, r, a, b)
	var got []string
	for _, m := range r.Table().Members {
		got = append(got, fmt.Sprintf("%s rank %d slot %d weight %d of %s", m.Name(), m.Rank(), m.Slot, m.Weight, m.Server.Name()))
		if r.Table().Named(m.Name()).Upstream != m.Upstream || r.Table().Resolve(m.Ref()) != m.Upstream {
			t.Errorf("%s is not found", m.Name())
		}
	}
	want := []string{
		"a@0 rank 0 slot 15 weight 100 of a", "a@1 rank 1 slot 16 weight 100 of a", "a@2 rank 2 slot 17 weight 100 of a",
		"b@0 rank 0 slot 0 weight 50 of b", "b@1 rank 1 slot 1 weight 50 of b", "b@2 rank 2 slot 2 weight 50 of b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if r.Table().Named("a") != nil || r.Table().ServerNamed("a") != r.Table().Members[0].Server || r.Table().ServerNamed("a@0") != nil {
		t.Error("a server is an upstream, or a rank is a server")
	}
	a.Slot, a.Ranks = -1, 2 // ring.Unnumbered
	mustApply(t, r, a)
	for _, m := range r.Table().Members {
		if m.Slot != -1 {
			t.Errorf("%s has the slot %d", m.Name(), m.Slot)
		}
	}
	if _, err := r.Apply([]Spec{ranked("a", "1", MaxUpstreams), spec("b", "2")}); err == nil || err.Error() != "4097 upstreams, want at most 4096" {
		t.Error(err)
	}
	mustApply(t, r, ranked("a", "1", MaxUpstreams))
}

// What is found out about a server holds for all of its ranks, and is told once. What operators want, and what is in
// flight, is by rank.
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
	m[0].Cleared()
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
		t.Error("a byte of one rank is no sign of life of another")
	}
	m[0].SetModels(models.New([]models.Model{{ID: "tiny"}}))
	m[0].SetNeedsKey(true)
	if !m[2].Models().Has([]byte("tiny")) || !m[1].NeedsKey() {
		t.Error("ranks list different models")
	}
}

// Draining a server again after one of its ranks was drained harder leaves none of them half drained.
func TestDrainOfAServer(t *testing.T) {
	_, m, _ := ranksOf(t, 2)
	m[0].SetHealth(Up, "test")
	m[0].Drain(true)
	m[1].Server.Drain(false)
	if got := wordsOf(m); got != "up, draining | up, draining" {
		t.Error(got)
	}
	m[1].Undrain()
	if got := wordsOf(m); got != "up, draining | up" {
		t.Error(got)
	}
	m[1].Server.Undrain()
	if got := wordsOf(m); got != "up | up" {
		t.Error(got)
	}
}

// A connection that served a rank serves any other: it names the rank with each request.
func TestRanksShareConnections(t *testing.T) {
	s := newServer(t)
	r := NewRegistry(nil)
	mustApply(t, r, ranked("a", s.u.Address().Dial, 2))
	m := r.Table().Members
	c, err := m[0].Dial(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	c.Keep(&transport.Answer{}, time.Now())
	if again := m[1].TakeIdle(time.Now()); again != c {
		t.Error("the other rank dials anew")
	}
	c.Keep(&transport.Answer{}, time.Now())
	mustApply(t, r, ranked("a", s.u.Address().Dial, 1))
	if again := m[0].TakeIdle(time.Now()); again != c {
		t.Error("a rank less, and the server's connections are gone")
	}
	c.Keep(&transport.Answer{}, time.Now())
	mustApply(t, r)
	if m[0].TakeIdle(time.Now()) != nil {
		t.Error("the connections of a server that is gone are kept")
	}
}

// Ranks come and go while the server stays: those that stay are the same, those that come know what is known of it.
func TestApplyRanks(t *testing.T) {
	r, before, _ := ranksOf(t, 4)
	before[0].SetHealth(Up, "test")
	before[1].Drain(false)
	server := before[0].Server
	steps := []struct {
		name  string
		specs []Spec
		stay  []string
		gone  int
		words string
	}{
		{"more", []Spec{ranked("a", "1", 6)}, []string{"a@0", "a@1", "a@2", "a@3"}, 0, "up | up, draining | up | up | up | up"},
		{"fewer", []Spec{ranked("a", "1", 2)}, []string{"a@0", "a@1"}, 4, "up | up, draining"},
		{"another beside it", []Spec{ranked("b", "2", 2), ranked("a", "1", 2)}, []string{"a@0", "a@1"}, 0, "unknown | unknown | up | up, draining"},
		{"renamed", []Spec{ranked("c", "2", 2), ranked("a", "1", 2)}, []string{"a@0", "a@1"}, 2, "unknown | unknown | up | up, draining"},
		{"elsewhere", []Spec{ranked("a", "3", 2)}, nil, 4, "unknown | unknown"},
		{"gone", nil, nil, 2, ""},
		{"back", []Spec{ranked("a", "3", 2)}, nil, 0, "unknown | unknown"},
	}
	for _, step := range steps {
		was := map[string]*Upstream{}
		for _, m := range r.Table().Members {
			was[m.Name()] = m.Upstream
		}
		gone := mustApply(t, r, step.specs...)
		var stay []string
		for _, m := range r.Table().Members {
			if was[m.Name()] == m.Upstream {
				stay = append(stay, m.Name())
			}
		}
		if !slices.Equal(stay, step.stay) || len(gone) != step.gone || wordsOf(r.Table().Members) != step.words {
			t.Errorf("%s: %v stay, %d gone, %s", step.name, stay, len(gone), wordsOf(r.Table().Members))
		}
		for _, ref := range gone {
			if r.Table().Resolve(ref) != nil {
				t.Errorf("%s: who is gone is found", step.name)
			}
		}
	}
	if r.Table().ServerNamed("a") == server {
		t.Error("a server that came back is the one that left")
	}
}

// A server that is given ranks, or has them no more, is known already. Its upstreams are others: their caches are.
func TestServersGetRanks(t *testing.T) {
	r := NewRegistry(nil)
	mustApply(t, r, spec("a", "1"))
	whole := r.Table().Members[0].Upstream
	whole.SetHealth(Up, "test")
	whole.Drain(false)
	if gone := mustApply(t, r, ranked("a", "1", 2)); fmt.Sprint(gone) != fmt.Sprint([]Ref{whole.Ref()}) {
		t.Errorf("gone %v", gone)
	}
	if got := wordsOf(r.Table().Members); got != "up, draining | up, draining" || r.Table().ServerNamed("a") != whole.Server {
		t.Error(got)
	}
	r.Table().Members[1].Undrain()
	mustApply(t, r, spec("a", "1"))
	if m := r.Table().Members; len(m) != 1 || m[0].Upstream == whole || m[0].Name() != "a" || m[0].Rank() != NoRank || wordsOf(m) != "up" {
		t.Errorf("%s", wordsOf(m))
	}
}

// Whatever happens to a server and its ranks: they agree on all that is the server's, and each has the drains that it was
// given and no others.
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
			"cleared":   func(t *rapid.T) { member(one(t)).Cleared() },
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

// Everybody may change a server at once.
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
