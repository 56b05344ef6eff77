package upstream

import (
	"testing"
	"testing/synctest"
	"time"
)

func newUpstream(t *testing.T) (*Upstream, *[]string) {
	t.Helper()
	var heard []string
	r := NewRegistry(func(c Change) { heard = append(heard, c.Before.Words()+" -> "+c.After.Words()) })
	mustApply(t, r, spec("a", "1"))
	return r.Table().Members[0].Upstream, &heard
}

func TestOnlyChangesAreHeard(t *testing.T) {
	u, heard := newUpstream(t)
	u.SetHealth(Up, "probe succeeded")
	u.SetHealth(Up, "probe succeeded")
	u.Cleared()
	u.Suspected("refused")
	u.Suspected("refused")
	u.Cleared()
	u.Drain(false)
	u.Drain(true)
	u.Undrain()
	u.SetHealth(TimedOut, "probe timed out")
	want := []string{
		"unknown -> up", "up -> up, suspect", "up, suspect -> up", "up -> up, draining", "up, draining -> up, draining hard",
		"up, draining hard -> up", "up -> down (timeouts)",
	}
	if len(*heard) != len(want) {
		t.Fatalf("heard %q", *heard)
	}
	for i := range want {
		if (*heard)[i] != want[i] {
			t.Errorf("heard %q, want %q", (*heard)[i], want[i])
		}
	}
	if since, reason := u.Since(); reason != "probe timed out" || time.Since(since) > time.Minute {
		t.Errorf("since %v, %q", since, reason)
	}
}

func TestSuspicionAsksForAProbe(t *testing.T) {
	u, _ := newUpstream(t)
	u.SetHealth(Up, "test")
	u.Suspected("test")
	u.Suspected("test") // never blocks
	<-u.ProbeWanted()
	if !u.State().Suspect() {
		t.Error("not suspect")
	}
	u.SetHealth(Down, "test")
	if u.State().Suspect() {
		t.Error("suspect after a verdict")
	}
}

func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, _ := newUpstream(t)
		u.SetHealth(Up, "test")
		u.ProbeFailed()
		if u.State().Leaving() {
			t.Fatal("a failed probe alone means leaving")
		}
		u.SaidLeaving()
		if s := u.State(); !s.Leaving() || s.LeavingConfirmed() {
			t.Fatal(s.Words())
		}
		u.ProbeFailed()
		if !u.State().LeavingConfirmed() {
			t.Error("a failed probe did not confirm it")
		}
		u.SetHealth(Up, "still answers")
		if !u.State().Leaving() {
			t.Error("a 200 took it back: a draining vLLM gives that all the while")
		}
		time.Sleep(leavingFor)
		u.ExpireLeaving(time.Now())
		if !u.State().Leaving() {
			t.Error("expired too soon")
		}
		time.Sleep(time.Millisecond)
		u.ExpireLeaving(time.Now())
		if u.State().Leaving() || u.State().LeavingConfirmed() {
			t.Error("never expires")
		}
		u.SaidLeaving()
		u.SaidLeaving()
		if !u.State().LeavingConfirmed() {
			t.Error("a second answer did not confirm it")
		}
	})
}

func TestInFlight(t *testing.T) {
	u, _ := newUpstream(t)
	u.Begin()
	u.Begin()
	u.End()
	if got := u.InFlight(); got != 1 {
		t.Errorf("%d in flight", got)
	}
	u.End()
	defer func() {
		if recover() == nil {
			t.Error("more ended than begun")
		}
	}()
	u.End()
}
