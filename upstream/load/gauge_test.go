package load

import (
	"sync"
	"testing"
	"time"
)

// A charge counts like requests in flight, decays, and has the area of the time that an answer takes.
func TestCharge(t *testing.T) {
	var g Gauge
	now := time.Unix(1000, 0)
	g.Begin()
	g.Fail(time.Second, time.Second, 0, Failures{Requests: 100}, now) // not quick
	if got := g.Load(now); got != 1 {
		t.Errorf("a slow failure: load %d", got)
	}
	for range 10 {
		g.Fail(0, time.Second, 0, Failures{Requests: 100}, now)
	}
	for _, c := range []struct {
		after time.Duration
		want  int64
	}{{-time.Second, 11}, {0, 11}, {time.Second, 5}, {2 * time.Second, 2}, {3 * time.Second, 1}, {time.Hour, 1}} {
		if got := g.Load(now.Add(c.after)); got != c.want {
			t.Errorf("after %v: load %d, want %d", c.after, got, c.want)
		}
	}
	g.End()

	sum := 0.0
	for i := range 10_000 {
		sum += g.charged.Load().left(now.Add(time.Duration(i)*time.Millisecond)).Requests / 1000
	}
	if sum < 9.9 || sum > 10.1 {
		t.Errorf("10 failures count for %.2f s in total", sum)
	}
}

func TestChargeIsLimited(t *testing.T) {
	var g Gauge
	now := time.Unix(1000, 0)
	for range 100 {
		g.Fail(0, time.Minute, 0, Failures{Requests: 7}, now)
	}
	if got := g.Load(now); got != 7 {
		t.Errorf("load %d, want 7", got)
	}
	g.Fail(0, time.Second, 0, Failures{Requests: 2}, now) // the others have less to do now, and are quicker
	if got := g.Load(now); got != 2 {
		t.Errorf("load %d, want 2", got)
	}
	if got := g.Load(now.Add(time.Second)); got != 1 {
		t.Errorf("after a second: load %d, want 1", got)
	}
}

// No charge of concurrent failures is lost.
func TestChargesAtOnce(t *testing.T) {
	var g Gauge
	now := time.Unix(1000, 0)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				g.Fail(0, time.Second, 0, Failures{Requests: 1000}, now)
				g.Answered(time.Second)
			}
		})
	}
	all.Wait()
	if got := g.Load(now); got != 800 {
		t.Errorf("load %d, want 800", got)
	}
	if got := g.Pace(); got != time.Second {
		t.Errorf("pace %v", got)
	}
}

// The pace follows the last answers.
func TestPace(t *testing.T) {
	var g Gauge
	if got := g.Pace(); got != 0 {
		t.Errorf("%v without an answer", got)
	}
	g.Answered(0)
	if got := g.Pace(); got <= 0 {
		t.Errorf("%v after an answer that took no time", got)
	}
	for _, usual := range []time.Duration{time.Second, time.Minute, time.Millisecond} {
		for range 20 * paceOf {
			g.Answered(usual)
		}
		if got := g.Pace(); got < usual*95/100 || got > usual*105/100 {
			t.Errorf("%v, want about %v", got, usual)
		}
	}
}

func TestLoadAllocatesNothing(t *testing.T) {
	var g Gauge
	now := time.Unix(1000, 0)
	g.Fail(0, time.Second, 0, Failures{Requests: 10}, now)
	var sum int64
	if n := testing.AllocsPerRun(100, func() { g.Answered(time.Second); sum += g.Load(now) }); n != 0 || sum == 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkGauge counts a request in and out, and reads the load as the router does.
func BenchmarkGauge(b *testing.B) {
	var g Gauge
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		g.Begin()
		if g.Load(now) != 1 {
			b.Fatal("the request is not counted")
		}
		g.Answered(time.Second)
		g.End()
	}
}
