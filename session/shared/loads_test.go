package shared

import (
	"math/rand/v2"
	"testing"
)

// sumOf returns the load of upstream 1.
func sumOf(l *Loads, now int64) Load {
	all, _ := l.Sum(now)
	return all[1]
}

// The last report of each other process counts, for a second.
func TestLoadsAreTheLastReports(t *testing.T) {
	l := NewLoads(1)
	report := func(from, seq uint64, tokens int64) *Report {
		return &Report{From: from, Seq: seq, Loads: []Load{{Upstream: 1, Tokens: tokens, Requests: 1}}}
	}
	if l.Received(report(1, 9, 9), 1000) {
		t.Error("a report of this process counts")
	}
	if !l.Received(report(2, 5, 100), 1000) || !l.Received(report(3, 1, 20), 1100) || !l.Received(report(2, 6, 300), 1200) {
		t.Fatal("a report does not count")
	}
	if l.Received(report(2, 6, 7), 1200) || l.Received(report(2, 5, 7), 1200) {
		t.Error("a repeated report counts")
	}
	if got := sumOf(l, 1200); got.Tokens != 320 || got.Requests != 2 {
		t.Errorf("%+v", got)
	}
	if got := sumOf(l, 2101); got.Tokens != 300 {
		t.Errorf("one process is silent: %+v", got)
	}
	if all, tellers := l.Sum(2201); len(all) != 0 || tellers != 0 {
		t.Errorf("all are silent: %+v of %d", all, tellers)
	}
	l.Received(&Report{From: 2, Seq: 8, At: 2000}, 3000)
	if all, tellers := l.Sum(3000); len(all) != 0 || tellers != 1 {
		t.Errorf("a process without load: %+v of %d", all, tellers)
	}
}

// A report that was on its way for longer than a second more than usual does not count, whatever the clocks say. Where all reports take longer
// from now on, or a clock has stood still, they count again after a while.
func TestLateReports(t *testing.T) {
	l := NewLoads(1)
	seq := uint64(0)
	report := func(at, now int64) bool {
		seq++
		return l.Received(&Report{From: 2, Seq: seq, At: at, Loads: []Load{{Upstream: 1, Tokens: at}}}, now)
	}
	const ahead = 1_000_000
	for at := int64(0); at < 2000; at += 200 {
		if !report(at, at+ahead) {
			t.Fatal("a report does not count")
		}
	}
	if report(2000, 12_000+ahead) || report(2200, 12_001+ahead) || report(11_000-200, 12_001+ahead) {
		t.Error("a late report counts")
	}
	if got := sumOf(l, 12_001+ahead); got.Tokens != 0 {
		t.Errorf("%+v", got)
	}
	if !report(12_000, 12_200+ahead) {
		t.Error("the next report does not count")
	}
	lost := 0
	at := int64(12_200)
	for ; !report(at, at+10_000+ahead); at += 200 {
		lost++
	}
	if lost < 100 || lost > 500 {
		t.Errorf("the clock of the process stood still for 10 s, and %d reports do not count", lost)
	}
	if sumOf(l, at+10_000+ahead).Tokens != at {
		t.Error("the last one does not count")
	}
}

// A flood of processes takes no memory without bound.
func TestTellersAreBounded(t *testing.T) {
	l := NewLoads(1)
	for n := range uint64(maxTellers + 10) {
		l.Received(&Report{From: n + 2, Seq: 1, At: 1000}, 1000)
	}
	if _, tellers := l.Sum(1000); tellers != maxTellers {
		t.Errorf("%d", tellers)
	}
	l.Sum(1001 + tellerLife.Milliseconds())
	if len(l.tellers) > 0 {
		t.Errorf("%d are remembered", len(l.tellers))
	}
}

// Reports that are lost, late, repeated and out of order leave the sum that the last one of each process gives.
func TestLossyReports(t *testing.T) {
	for seed := range uint64(200) {
		random, l := rand.New(rand.NewPCG(seed, 1)), NewLoads(99)
		now := int64(10_000)
		var sent []*Report
		for seq := range uint64(30) {
			now += 50
			for from := range uint64(3) {
				sent = append(sent, &Report{From: from, Seq: seq, At: now, Loads: []Load{{Upstream: 1, Tokens: random.Int64N(1000)}}})
			}
			for range random.IntN(6) {
				l.Received(sent[random.IntN(len(sent))], now)
			}
		}
		var want int64
		for _, r := range sent[len(sent)-3:] {
			l.Received(r, now)
			want += r.Loads[0].Tokens
		}
		if got := sumOf(l, now); got.Tokens != want {
			t.Fatalf("seed %d: %+v, want %d tokens", seed, got, want)
		}
	}
}
