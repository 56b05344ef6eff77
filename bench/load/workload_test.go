package main

import (
	"testing"
	"time"
)

// The ideal fleet of the test serves a turn of 10,000 tokens, of which 5,000 are cached, in about a third of a second.
func TestCalibration(t *testing.T) {
	k := &workload{conversations: func(uint64) (all []conversation) {
		for range 1200 {
			all = append(all, conversation{
				{prompt: 5000, answer: 10},
				{prompt: 10_000, kept: 5000, answer: 10, think: 20 * time.Second},
				{prompt: 15_000, kept: 10_000, answer: 10, think: 20 * time.Second},
			})
		}
		return all
	}}
	if err := k.calibrate(standard, 3600, 0.25, 0.5); err != nil {
		t.Fatal(err)
	}
	if most := servers * standard.rate / 5000; k.best > most || k.best < 0.8*most {
		t.Errorf("an ideal fleet serves %.1f turns a second, want a little less than %.1f", k.best, most)
	}
	cycle := 40/3.0 + 5000/standard.rate // seconds from turn to turn
	if few, most := 0.5*k.best*cycle, 0.5*k.best*(cycle+1); float64(k.users[0.5]) < few || float64(k.users[0.5]) > most {
		t.Errorf("%d users are half of the load, want %.0f to %.0f", k.users[0.5], few, most)
	}
	if half := k.users[0.25] * 2; half < k.users[0.5]-1 || half > k.users[0.5]+1 {
		t.Errorf("a quarter of the load has %d users, half of it %d", k.users[0.25], k.users[0.5])
	}
}

// Workloads are generated unless a trace is named.
func TestSources(t *testing.T) {
	all, err := workloads(traces{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		largest := 0
		for _, c := range k.conversations(1) {
			for _, one := range c {
				largest = max(largest, one.prompt+one.answer)
			}
		}
		for _, capacity := range []int{k.natural, k.starved} {
			if capacity != 0 && capacity < largest+2*blockTokens {
				t.Errorf("%s: a cache of %d tokens does not hold a request of %d", k.name, capacity, largest)
			}
		}
	}
	for _, missing := range []traces{{mooncake: "none"}, {agents: "none"}} {
		if _, err := workloads(missing); err == nil {
			t.Errorf("%+v is read", missing)
		}
	}
}
