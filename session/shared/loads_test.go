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
	report := func(from, seq uint64, at, tokens int64) *Report {
		return &Report{From: from, Seq: seq, At: at, Loads: []Load{{Upstream: 1, Tokens: tokens, Requests: 1}}}
	}
	for what, c := range map[string]struct {
		r    *Report
		want bool
	}{"of this process": {report(1, 9, 1000, 9), false}, "late": {report(2, 9, -2001, 9), false}, "of the future": {report(2, 9, 4001, 9), false}} {
		if l.Received(c.r, 1000) != c.want {
			t.Errorf("a report %s counts", what)
		}
	}
	if !l.Received(report(2, 5, 1000, 100), 1000) || !l.Received(report(3, 1, 1100, 20), 1100) || !l.Received(report(2, 6, 1200, 300), 1200) {
		t.Fatal("a report does not count")
	}
	if l.Received(report(2, 6, 1200, 7), 1200) || l.Received(report(2, 5, 1200, 7), 1200) {
		t.Error("a repeated report counts")
	}
	if got := sumOf(l, 1200); got.Tokens != 320 || got.Requests != 2 {
		t.Errorf("%+v", got)
	}
	if got := sumOf(l, 2101); got.Tokens != 300 {
		t.Errorf("one process is silent: %+v", got)
	}
	all, tellers := l.Sum(2201)
	if len(all) != 0 || tellers != 0 {
		t.Errorf("all are silent: %+v of %d", all, tellers)
	}
	l.Received(report(2, 7, 2900, 50), 2900)
	if got := sumOf(l, 1000); got.Tokens != 0 {
		t.Errorf("the clock was set back: %+v", got)
	}
	l.Received(&Report{From: 2, Seq: 8, At: 3000}, 3000)
	if got := sumOf(l, 3000); got.Tokens != 0 {
		t.Errorf("no load: %+v", got)
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
