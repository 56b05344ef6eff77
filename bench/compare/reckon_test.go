package main

import (
	"maps"
	"testing"
	"time"

	"tether/bench/compare/peers"
	"tether/bench/compare/traffic"
)

func TestReckon(t *testing.T) {
	opening := traffic.Counts{FirstBytes: []int64{1000, 2000, 3000}}
	counts := traffic.Counts{Requests: 2, Events: 4, Latencies: []int64{5000, 7000}, Delays: []int64{1000, 2000, 3000, 4000}}
	used := peers.Usage{CPU: 80 * time.Microsecond, Switches: 8}
	for unit, want := range map[string]figures{
		"request": {cpu: 40, switches: 4, p50: 7, p99: 7, first: 2, rate: 1},
		"event":   {cpu: 20, switches: 2, p50: 3, p99: 4, first: 2, rate: 2},
	} {
		got, err := reckon(&row{unit: unit}, opening, counts, used, 2*time.Second)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", unit, got, err, want)
		}
	}
	if _, err := reckon(&row{}, opening, traffic.Counts{}, used, time.Second); err == nil {
		t.Error("a measurement without an answer is no error")
	}
}

func TestPerUnit(t *testing.T) {
	counts := traffic.Counts{Requests: 2, Events: 4}
	for unit, want := range map[string]float64{"request": 10, "event": 5} {
		if got, err := perUnit(figures{allCalls: 20}, &row{unit: unit}, counts); err != nil || got[allCalls] != want {
			t.Errorf("%s: got %v, %v, want %v", unit, got, err, want)
		}
	}
	if _, err := perUnit(figures{}, &row{}, traffic.Counts{}); err == nil {
		t.Error("a measurement without an answer is no error")
	}
}
