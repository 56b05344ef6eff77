package main

import "testing"

// Every request ends once, whatever several tethers share. Those that share their pins keep conversations together, and those that share their
// load too see it.
func TestReplicas(t *testing.T) {
	moved := map[string]int{}
	for _, c := range sharers() {
		moved[c.name] = simulate(t, busy(1), c, 1).moved
	}
	if moved["hash"] != 0 || moved["3, nothing shared"] < 2*moved["3, pins shared"] || moved["3, nothing shared"] < 2*moved["3, pins and load shared"] {
		t.Errorf("moved: %v", moved)
	}
}

// What one tether sends to a server, the others see within the time between two reports, if they share their load.
func TestLoadIsSeen(t *testing.T) {
	for _, c := range sharers() {
		if c.replicas == 0 {
			continue
		}
		h := standard
		h.capacity = 600_000
		w, err := newWorld(busy(1), h, c, 1)
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		w.after(reportEvery*40, func() {
			for _, s := range w.servers {
				if s.seen[1].InFlight() > 0 || s.seen[2].InFlight() > 0 {
					seen = seen || s.seen[0].Others(w.time()).Requests > 0
				}
			}
		})
		if _, err := w.run(); err != nil {
			t.Fatal(err)
		}
		if seen != (c.shares == sharesLoad) {
			t.Errorf("%s: the load of others is seen: %v", c.name, seen)
		}
	}
}

// A simulation whose servers never answer ends, and says so.
func TestReplicasWithoutAnswers(t *testing.T) {
	s := busy(1)
	s.users = 1
	w, err := newWorld(s, standard, sharers()[2], 1) // with caches that hold nothing
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.run(); err == nil {
		t.Error("no error")
	}
}
