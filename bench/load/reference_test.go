package main

import (
	"testing"
	"time"

	"tether/upstream"
)

// The rule in numbers: servers compute 16,000 tokens a second, so that home may be 16,000 tokens busier, and a pinned server
// 96,000 and twice what it has cached. A request in flight stands for 1,600.
func TestReference(t *testing.T) {
	const capacity = 1_000_000
	for _, c := range []struct {
		name    string
		pin     int // -1 for a new conversation, whose home is server 1
		prompt  int // the last one
		since   int // charged to the pin since the last turn
		backlog [3]int
		flight  []int
		down    []int
		want    int
		charge  int
	}{
		{name: "home while all are idle", pin: -1, want: 1, charge: 20_000},
		{name: "home while it is a second busier", pin: -1, backlog: [3]int{0, 16_000, 0}, want: 1, charge: 20_000},
		{name: "away from a busier home", pin: -1, backlog: [3]int{5, 16_001, 0}, want: 2, charge: 20_000},
		{name: "requests in flight count", pin: -1, flight: []int{1, 11, 0}, want: 2, charge: 20_000},
		{name: "of equals the one with fewer requests in flight", pin: -1, backlog: [3]int{1600, 90_000, 0}, flight: []int{0, 0, 1}, want: 0, charge: 20_000},
		{name: "pinned", pin: 0, prompt: 19_000, backlog: [3]int{134_000, 0, 0}, want: 0, charge: 1000},
		{name: "pinned, and hardly longer", pin: 0, prompt: 19_999, want: 0, charge: 64},
		{name: "moves", pin: 0, prompt: 19_000, backlog: [3]int{134_001, 5, 0}, want: 2, charge: 20_000},
		{name: "moves from a server that is down", pin: 0, prompt: 19_000, down: []int{0}, want: 1, charge: 20_000},
		{name: "still cached", pin: 0, prompt: 19_000, since: capacity * 9 / 10, want: 0, charge: 1000},
		{name: "gone", pin: 0, prompt: 19_000, since: capacity*9/10 + 1, want: 1, charge: 20_000},
	} {
		w := fleet(t, "reference")
		for i, n := range c.backlog {
			w.servers[i].backlog = n
		}
		begun(w, c.flight...)
		for _, i := range c.down {
			w.servers[i].SetHealth(upstream.Down, "test")
		}
		talk := home(w, 1)
		if c.pin >= 0 {
			talk.last, talk.prompt = w.servers[c.pin], c.prompt
			talk.last.charged = c.since
		}
		r := &request{turn: &turn{prompt: 20_000, answer: 1}, talk: talk}
		if s := reference(w, r); s.number != c.want || r.charge != c.charge {
			t.Errorf("%s: server %d with a charge of %d, want server %d and %d", c.name, s.number, r.charge, c.want, c.charge)
		}
	}
}

// A server that owes a first token for longer than its limit takes no requests, unless all others are down.
func TestHung(t *testing.T) {
	w := fleet(t, "reference")
	c := home(w, 1)
	s := w.servers[ask(w, c, 16_000)]
	freeze(w, s)
	for _, step := range []struct {
		after time.Duration
		hung  bool
	}{{12 * time.Second, false}, {1, true}} { // 10 s, and twice the second that the prompt takes
		w.after(step.after, func() {
			if hung(w, s) != step.hung || ready(w)[1] == step.hung {
				t.Errorf("after %v the server is hung: %t", w.clock.Now(), !step.hung)
			}
		})
		if err := w.clock.Run(nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask(w, c, 16_100); got == 1 {
		t.Error("the conversation stays on the server that hangs")
	}
	for _, i := range []int{0, 2} {
		w.servers[i].SetHealth(upstream.Down, "test")
	}
	if !ready(w)[1] {
		t.Error("no server is ready, although one is up")
	}
}
