package main

import (
	"testing"
	"time"
)

func TestScenarios(t *testing.T) {
	kinds, err := workloads(traces{})
	if err != nil {
		t.Fatal(err)
	}
	names, brief := map[string]bool{}, 0
	for _, s := range scenarios(kinds) {
		if names[s.name] {
			t.Errorf("two scenarios have the name %s", s.name)
		}
		names[s.name] = true
		if s.brief {
			brief++
		}
		if s.starved && s.workload.starved == 0 {
			t.Errorf("%s has no capacity", s.name)
		}
	}
	if brief != 3 || !names["Mooncake, 80 %, starved"] || !names["Mooncake, 80 %: a server hangs for 60 s"] {
		t.Errorf("%d scenarios are brief: %v", brief, names)
	}
}

func TestRecordedRate(t *testing.T) {
	all := []conversation{{{at: 0}, {at: 4 * time.Second}}, {{at: 2 * time.Second}}}
	if got := recordedRate(all); got != 0.75 {
		t.Errorf("%v turns a second, want 0.75", got)
	}
}
