package upstream

import (
	"time"

	"tether/upstream/load"
)

// What happens to a server and its upstreams, and what each event changes in their states.

// State is what the states of all upstreams of the server have in common.
func (s *Server) State() State { return s.states.shared() }

// Since returns when and why the health last changed.
func (s *Server) Since() (time.Time, string) { return s.states.lastHealthChange() }

// SetHealth is the prober's verdict. It ends suspicion. An upstream that comes up after it was down is no longer leaving.
func (s *Server) SetHealth(h Health, reason string) {
	clear := healthMask | suspect
	before := s.State().Health()
	if h == Up && before != Up {
		clear |= leaving | leavingConfirmed
	}
	if h == Up && before == Down {
		s.CameBack() // before anything is sent there
	}
	s.states.change(nil, clear, State(h), reason)
	if h == Down || h == TimedOut {
		s.pool.CloseIdle()
	}
}

// Suspected notes that traffic could not connect, and asks for a probe. It changes nothing while the server is Down.
func (s *Server) Suspected(reason string) {
	if s.State().Health() == Down {
		return
	}
	s.states.change(nil, 0, suspect, reason)
	select {
	case s.probeWanted <- struct{}{}:
	default: // a probe is wanted already
	}
}

// ProbeSucceeded notes a probe that succeeded and does not change the health. It ends suspicion.
func (s *Server) ProbeSucceeded() { s.states.change(nil, suspect, 0, "probe succeeded") }

// leavingFor is how long a server counts as leaving if it neither goes down nor says again that it is shutting down.
const leavingFor = 2 * time.Minute

// SaidLeaving notes an answer that says that the server is shutting down. A second answer, or a failed probe meanwhile, confirms
// it.
func (s *Server) SaidLeaving() {
	now := time.Now()
	s.saidLeaving.Store(&now)
	if s.State().Leaving() {
		s.states.change(nil, 0, leavingConfirmed, "it said again that it is shutting down")
		return
	}
	s.states.change(nil, 0, leaving, "it said that it is shutting down")
}

// SaidLoads notes what s said of its engines. of returns the figures of a rank, or of all engines together for NoRank.
func SaidLoads(s *Server, of func(rank int) load.EngineLoad) {
	s.states.each(func(u *Upstream) {
		l := of(u.rank)
		u.SaidLoad(l)
		s.SaidBegan(l.Began)
	})
}

// ProbeFailed notes a probe that failed, whether or not that changes the verdict.
func (s *Server) ProbeFailed() {
	if s.State().Leaving() {
		s.states.change(nil, 0, leavingConfirmed, "a probe failed while it was shutting down")
	}
}

// ExpireLeaving ends Leaving two minutes after the server last said that it is shutting down.
func (s *Server) ExpireLeaving(now time.Time) {
	if s.State().Leaving() && now.Sub(*s.saidLeaving.Load()) > leavingFor {
		s.states.change(nil, leaving|leavingConfirmed, 0, "it did not shut down")
	}
}

// byOperator and byConfiguration are the reasons of drains.
const (
	byOperator      = "by the operator"
	byConfiguration = "by the configuration"
)

// Drain sends no new sessions to the upstream; with hard, pinned sessions move too, at their next request.
func (u *Upstream) Drain(hard bool) {
	u.states.change(u, draining|drainingHard, drained(hard), byOperator)
}

// Undrain ends a drain by Drain, but not a drain of the configuration.
func (u *Upstream) Undrain() { u.states.change(u, draining|drainingHard, 0, byOperator) }

// Drain drains all upstreams of the server.
func (s *Server) Drain(hard bool) {
	s.states.change(nil, draining|drainingHard, drained(hard), byOperator)
}

// Undrain ends the drains of all upstreams of the server, but not a drain of the configuration.
func (s *Server) Undrain() { s.states.change(nil, draining|drainingHard, 0, byOperator) }

func drained(hard bool) State {
	if hard {
		return draining | drainingHard
	}
	return draining
}

func (s *Server) configureDrain(drain bool) {
	if drain {
		s.states.change(nil, 0, drainConfigured, byConfiguration)
		return
	}
	s.states.change(nil, drainConfigured, 0, byConfiguration)
}
