package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"tether/upstream/load"
)

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
			t.Error("a 200 took it back: a vLLM that shuts down answers 200 all the while")
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

// Draining a whole server after one of its ranks was drained hard drains all ranks alike.
func TestDrainOfAServer(t *testing.T) {
	_, m, _ := ranksOf(t, 2)
	m[0].SetHealth(Up, "test")
	m[0].Drain(true)
	m[1].Server.Drain(false)
	if got := wordsOf(m); got != "up, draining | up, draining" {
		t.Error(got)
	}
	m[1].Undrain()
	if got := wordsOf(m); got != "up, draining | up" {
		t.Error(got)
	}
	m[1].Server.Undrain()
	if got := wordsOf(m); got != "up | up" {
		t.Error(got)
	}
}

func TestDrainOfTheConfiguration(t *testing.T) {
	r := NewRegistry(nil)
	s := spec("a", "1")
	s.Drain = true
	mustApply(t, r, s)
	u := r.Table().Members[0].Upstream
	u.Undrain()
	if !u.State().Draining() {
		t.Error("an operator undid the configuration's drain")
	}
	u.Drain(true)
	s.Drain = false
	mustApply(t, r, s)
	if !u.State().DrainingHard() {
		t.Error("a change of the configuration undid the operator's drain")
	}
	u.Undrain()
	if u.State().Draining() {
		t.Error("still draining")
	}
}

// What a server says of its engines is told to its ranks, those of a later table included.
func TestSaidLoads(t *testing.T) {
	r, members, _ := ranksOf(t, 2)
	server := members[0].Server
	say := func() {
		SaidLoads(server, func(rank int) load.EngineLoad {
			return load.EngineLoad{Running: int64(rank), KVCapacity: 100, At: time.Now()}
		})
	}
	say()
	mustApply(t, r, ranked("a", "1", 3))
	members = r.Table().Members
	if l, known := members[1].EngineLoad(time.Now()); !known || l.Running != 1 || members[1].KVCapacity() != 100 {
		t.Errorf("%+v, %v", l, known)
	}
	if _, known := members[2].EngineLoad(time.Now()); known || members[2].KVCapacity() != 0 {
		t.Error("a new rank has said something")
	}
	say()
	if l, known := members[2].EngineLoad(time.Now()); !known || l.Running != 2 {
		t.Errorf("%+v, %v", l, known)
	}
	mustApply(t, r, spec("a", "1"))
	say()
	if l, known := r.Table().Members[0].EngineLoad(time.Now()); !known || l.Running != NoRank {
		t.Errorf("%+v, %v", l, known)
	}
}

// Health and the page of metrics say when another process answers.
func TestProcess(t *testing.T) {
	const up, down, slow, first, second, silent = "up", "down", "slow", "first", "second", "silent"
	for _, c := range []struct {
		name    string
		happens []string
		same    bool
	}{
		{"nothing happens", []string{up}, true},
		{"it says more", []string{up, first, first}, true},
		{"it says nothing", []string{up, silent, silent}, true},
		{"another process before a probe fails", []string{up, first, second}, false},
		{"another process", []string{up, first, down, up, second}, false},
		{"another process, which has not said so yet", []string{up, first, down, up}, false},
		{"the same process, away for a while", []string{up, first, down, up, first}, true},
		{"the same process, away twice", []string{up, first, down, up, first, down, up, first}, true},
		{"a process that never says anything", []string{up, silent, down, up, silent}, false},
		{"a process that says more after its restart", []string{up, silent, down, up, second}, false},
		{"too slow for a while", []string{up, slow, up}, true},
	} {
		r := NewRegistry(nil)
		if _, err := r.Apply([]Spec{{Name: "a", Weight: 100}}); err != nil {
			t.Fatal(err)
		}
		s := r.Table().Servers[0]
		before := uint32(0)
		for n, what := range c.happens {
			switch what {
			case up:
				s.SetHealth(Up, "")
			case down:
				s.SetHealth(Down, "")
			case slow:
				s.SetHealth(TimedOut, "")
			default:
				began := map[string]float64{first: 100.25, second: 200.5}[what]
				SaidLoads(s, func(int) load.EngineLoad { return load.EngineLoad{Began: began} })
			}
			if n == 1 {
				before = s.Process()
			}
		}
		if len(c.happens) > 2 && c.happens[1] == down {
			t.Fatal("the test compares with a server that is down")
		}
		if same := s.Process() == before; same != c.same {
			t.Errorf("%s: the same process is %v", c.name, same)
		}
	}
}
