package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// busy is a simulation with some of everything.
func busy(seed uint64) setup {
	m := mix{n: 60, most: &chats, share: 0.3, others: &agents}
	return setup{conversations: m.conversations(seed), atFirst: 4, users: 40, turns: 600}
}

// simulate runs a simulation, and checks that every request ended once and that nothing is left of any.
func simulate(t *testing.T, s setup, c contender, seed uint64) *result {
	t.Helper()
	h := standard
	h.capacity = 600_000
	w, err := newWorld(s, h, c, seed)
	if err != nil {
		t.Fatal(err)
	}
	m, err := w.run()
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	if w.sent != s.turns || m.turns != len(m.waits) || m.turns != s.turns*95/100-s.turns*4/10 {
		t.Errorf("%s: %d requests sent, %d measured, %d waits", c.name, w.sent, m.turns, len(m.waits))
	}
	for _, s := range w.servers {
		if s.backlog != 0 || s.requests() != 0 || s.Queue(w.time()).Tokens != 0 || len(s.engine.waiting) != 0 || len(s.engine.answering) != 0 {
			t.Errorf("%s: at the end server %d has a backlog of %d tokens, %d requests in flight, %d tokens charged by the router", c.name, s.number, s.backlog,
				s.requests(), s.Queue(w.time()).Tokens)
		}
		if cache := s.engine.cache; cache.free+cache.idle != h.capacity/blockTokens || cache.idle != len(cache.nodes) {
			t.Errorf("%s: at the end the cache of server %d has %d blocks free, %d idle, and %d cached", c.name, s.number, cache.free, cache.idle,
				len(cache.nodes))
		}
	}
	return m
}

// Every request ends exactly once, whatever the policy, and whatever happens to the servers. A request that a dead server
// lost is sent again.
func TestEveryRequestEnds(t *testing.T) {
	incidents := map[string]func(w *world){
		"nothing": nil, "bursts": bursts, "death": death, "hang": hang, "slowdown": slowdown, "scale-out": scaleOut,
	}
	for name, incident := range incidents {
		for _, c := range contenders() {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				s := busy(1)
				s.incident = incident
				simulate(t, s, c, 1)
			})
		}
	}
}

// Turns at recorded times are all sent, even before the answers to the turns before.
func TestReplay(t *testing.T) {
	s := busy(2)
	s.users, s.speed, s.turns = 0, 50, 0
	for _, c := range s.conversations {
		s.turns += len(c)
	}
	for _, c := range contenders() {
		simulate(t, s, c, 2)
	}
}

// Equal seeds give equal results.
func TestSeeds(t *testing.T) {
	for _, c := range contenders() {
		var all []figures
		for _, seed := range []uint64{1, 1, 2} {
			all = append(all, simulate(t, busy(seed), c, seed).figures())
		}
		if all[0] != all[1] || all[0] == all[2] {
			t.Errorf("%s: seeds 1, 1 and 2: %s", c.name, cmp.Diff(all[0], all[1], cmp.AllowUnexported(figures{})))
		}
	}
}

// A user sends the next turn when the answer is written and the time to think is over.
func TestUserThinks(t *testing.T) {
	c := conversation{{prompt: 16_000, answer: 1}, {prompt: 16_512, kept: 16_000, answer: 1, think: 3 * time.Second}}
	w, err := newWorld(setup{conversations: []conversation{c}, atFirst: 1, users: 1, turns: 2}, standard, contenders()[2], 1)
	if err != nil {
		t.Fatal(err)
	}
	w.servers[0].engine.cache = newCache(1_000_000)
	var sent, waited []time.Duration
	w.policy = func(w *world, r *request) *server {
		sent = append(sent, w.clock.Now())
		done := r.done
		r.done = func() { waited = append(waited, w.clock.Now()-r.sent); done() }
		return byRouter(w, r)
	}
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{1007 * time.Millisecond, 32 * time.Millisecond}; !slices.Equal(waited, want) || sent[1]-sent[0] != want[0]+3*time.Second {
		t.Errorf("sent at %v, waited %v, want %v", sent, waited, want)
	}
}
