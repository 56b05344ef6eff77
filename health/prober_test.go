package health

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tether/upstream"
	"tether/upstream/transport"
)

var defaults = Default()

// alone returns a prober that does not run, of an upstream that is up.
func alone(t *testing.T, url string) *prober {
	t.Helper()
	a, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	r := upstream.NewRegistry(nil)
	if _, err := r.Apply([]upstream.Spec{{Name: "a", Address: a}}); err != nil {
		t.Fatal(err)
	}
	p := &prober{settings: new(atomic.Pointer[Config]), server: r.Table().Servers[0], buf: make([]byte, maxHead)}
	p.settings.Store(&defaults)
	p.apply(succeeded, time.Now(), &defaults)
	return p
}

// nowhere is the address of an upstream that is not dialled.
const nowhere = "http://127.0.0.1:1"

// Probes start an interval apart, give or take a tenth; a second apart while the upstream is suspect.
func TestPauseCountsFromTheStart(t *testing.T) {
	for _, c := range []struct {
		name              string
		suspect           bool
		took              time.Duration // of the probe
		earliest, longest time.Duration
	}{
		{"up", false, 0, 4500 * time.Millisecond, 5500 * time.Millisecond},
		{"up, slow to answer", false, 1900 * time.Millisecond, 4500 * time.Millisecond, 5500 * time.Millisecond},
		{"suspect", true, 0, time.Second, time.Second},
		{"suspect, slow to answer", true, 900 * time.Millisecond, time.Second, time.Second},
		{"suspect, timed out", true, 2 * time.Second, 2 * time.Second, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := alone(t, nowhere)
				if c.suspect {
					p.server.Suspected("test")
					<-p.server.ProbeWanted()
				}
				for range 20 { // the spread is random
					started := time.Now()
					time.Sleep(c.took)
					p.wait(t.Context(), started)
					if got := time.Since(started); got < c.earliest || got > c.longest {
						t.Fatalf("the next probe starts %v after the last one, want %v..%v", got, c.earliest, c.longest)
					}
				}
			})
		})
	}
}

// A probe that succeeds ends suspicion. One without evidence does not, nor does a failure that is no verdict yet.
func TestSuccessEndsSuspicion(t *testing.T) {
	for r, want := range map[result]bool{succeeded: false, noEvidence: true, wrongAnswer: true} {
		p := alone(t, nowhere)
		p.server.Suspected("test")
		p.apply(r, time.Now(), &defaults)
		if s := p.server.State(); s.Suspect() != want || s.Health() != upstream.Up {
			t.Errorf("%s: %s", reasons[r], s.Words())
		}
	}
}

// One failed probe confirms that an upstream which said so is leaving, long before it is down.
func TestFailureConfirmsLeaving(t *testing.T) {
	for r, want := range map[result]bool{succeeded: false, noEvidence: false, failedConnection: true, wrongAnswer: true, timedOut: true} {
		p := alone(t, nowhere)
		p.server.SaidLeaving()
		p.apply(r, time.Now(), &defaults)
		if s := p.server.State(); s.LeavingConfirmed() != want || !s.Leaving() || s.Health() != upstream.Up {
			t.Errorf("%s: %s, confirmed: %v", reasons[r], s.Words(), s.LeavingConfirmed())
		}
	}
}

// An upstream that neither goes down nor says again that it is leaving counts as staying after two minutes.
func TestLeavingExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := alone(t, nowhere)
		p.server.SaidLeaving()
		time.Sleep(2 * time.Minute)
		p.apply(succeeded, time.Now(), &defaults)
		if !p.server.State().Leaving() {
			t.Error("not leaving after two minutes")
		}
		time.Sleep(time.Second)
		p.apply(succeeded, time.Now(), &defaults)
		if p.server.State().Leaving() {
			t.Error("leaving for ever")
		}
	})
}

// While one rank delivers, a probe that times out counts against no rank.
func TestBusyRank(t *testing.T) {
	p := alone(t, nowhere)
	registry := upstream.NewRegistry(nil)
	if _, err := registry.Apply([]upstream.Spec{{Name: "a", Ranks: 2}}); err != nil {
		t.Fatal(err)
	}
	m := registry.Table().Members
	p.server = m[0].Server
	now := time.Now()
	m[1].Delivered(now)
	for range 10 {
		p.apply(timedOut, now, &defaults)
	}
	if p.tally.bad != 0 {
		t.Errorf("%d probes count, though a rank delivers", p.tally.bad)
	}
	p.apply(timedOut, now.Add(defaults.Interval), &defaults)
	if p.tally.bad != 1 {
		t.Errorf("%d probes count after an interval of silence", p.tally.bad)
	}
}
