package main

import (
	"testing"

	"tether/upstream"
)

// fleet returns a world with three servers and nothing to do.
func fleet(t *testing.T, policy string) *world {
	t.Helper()
	for _, c := range contenders() {
		if c.name != policy {
			continue
		}
		h := standard
		h.capacity = 1_000_000
		w, err := newWorld(setup{conversations: []conversation{{{prompt: 1, answer: 1}}}, atFirst: 3}, h, c, 1)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	t.Fatalf("no policy %s", policy)
	return nil
}

// ask returns the number of the server that the policy chooses for the next turn of a talk, and sends the turn there.
func ask(w *world, t *talk, prompt int) int {
	next := &turn{prompt: prompt, kept: min(prompt, t.prompt), answer: 10}
	r := &request{turn: next, talk: t, n: w.sent, done: func() {}}
	r.blocks = t.extend(next, func() block { w.blocks++; return w.blocks })
	t.blocks = r.blocks
	w.sent++
	w.try(r)
	return r.to.number
}

// begun begins requests on servers.
func begun(w *world, requests ...int) {
	for i, n := range requests {
		for range n {
			w.servers[i].Begin()
		}
	}
}

func TestRoundRobin(t *testing.T) {
	w := fleet(t, "round robin")
	for i := range 7 {
		if got := ask(w, &talk{}, 10); got != i%3 {
			t.Errorf("request %d goes to server %d", i, got)
		}
		begun(w, 2)
	}
}

// The least busy server is taken, of several the one that was chosen least recently, and none that is down.
func TestLeastInFlight(t *testing.T) {
	w := fleet(t, "least in flight")
	begun(w, 2, 0, 1)
	for i, want := range []int{1, 2, 1, 0, 2, 1} {
		if got := ask(w, &talk{}, 10); got != want {
			t.Errorf("request %d goes to server %d, want %d", i, got, want)
		}
	}
	w.servers[0].SetHealth(upstream.Down, "test")
	begun(w, 0, 5, 5)
	if got := ask(w, &talk{}, 10); got == 0 {
		t.Error("a server that is down is taken")
	}
}

// home returns a conversation whose place by the ring is a server.
func home(w *world, server int) *talk {
	for n := 0; ; n++ {
		t := &talk{key: w.tethers[0].keyOf(1, n)}
		if walk := w.ring.Walk(t.key.Ring()); walk.Next(func(int) bool { return true }) == server {
			return t
		}
	}
}

// The real router sends a conversation home, and keeps it there.
func TestHash(t *testing.T) {
	w := fleet(t, "hash")
	begun(w, 0, 20, 0)
	c := home(w, 1)
	for range 3 {
		if got := ask(w, c, 10); got != 1 {
			t.Errorf("goes to server %d, want its home", got)
		}
	}
}

// Home is taken while it has at most 1.25 times the mean number of requests, rounded up.
func TestBoundedHash(t *testing.T) {
	w := fleet(t, "CHWBL 1.25")
	begun(w, 4, 4, 3)
	for i, stays := range []bool{true, false} { // 12 and then 13 requests with this one: at most 5 and 6 on a server
		if i == 1 {
			begun(w, 0, 1, 0)
		}
		if got := ask(w, home(w, 1), 10); (got == 1) != stays {
			t.Errorf("request %d goes to server %d", i, got)
		}
	}
}

// LMetric multiplies the tokens before the first token of a request with the requests. It knows what is cached.
func TestLMetric(t *testing.T) {
	w := fleet(t, "LMetric")
	c := &talk{}
	first := ask(w, c, 1000)
	if err := w.clock.Run(nil); err != nil {
		t.Fatal(err)
	}
	if got := ask(w, c, 1100); got != first || w.servers[first].backlog != 100 {
		t.Errorf("goes to server %d with a backlog of %d tokens, although server %d has all but 100 in its cache", got, w.servers[first].backlog, first)
	}
	if got := ask(w, &talk{}, 1000); got == first {
		t.Errorf("a new conversation goes to server %d, which is busy", got)
	}
	if got := ask(w, c, 1200); got != first {
		t.Errorf("goes to server %d, although (100 + 200) * 2 tokens are less than 1200 anywhere else", got)
	}
}
