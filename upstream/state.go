package upstream

import (
	"strings"
	"time"
)

// State is everything that decides whether an upstream may get a request, in one word.
type State uint32

// Health is what the prober last concluded.
type Health uint8

const (
	// Unknown is no verdict yet: not usable.
	Unknown Health = iota
	// Up is usable.
	Up
	// Down is by failed connections or wrong answers.
	Down
	// TimedOut is down by probe timeouts alone.
	TimedOut
)

const (
	healthMask State = 3
	suspect    State = 1 << (iota + 1) // traffic had trouble connecting
	leaving                            // it said that it is shutting down
	leavingConfirmed
	draining
	drainingHard
	drainConfigured
)

// Health is the prober's verdict.
func (s State) Health() Health { return Health(s & healthMask) }

// Suspect reports whether traffic had trouble connecting since the last verdict.
func (s State) Suspect() bool { return s&suspect != 0 }

// Leaving reports whether the server said that it is shutting down.
func (s State) Leaving() bool { return s&leaving != 0 }

// LeavingConfirmed reports whether that was confirmed, by a second such answer or a failed probe.
func (s State) LeavingConfirmed() bool { return s&leavingConfirmed != 0 }

// Draining reports whether no new sessions are wanted, by an operator or the configuration.
func (s State) Draining() bool { return s&(draining|drainingHard|drainConfigured) != 0 }

// DrainingHard reports whether pinned sessions shall go elsewhere too.
func (s State) DrainingHard() bool { return s&drainingHard != 0 }

// Words names what holds, for people: "up", "down, draining".
func (s State) Words() string {
	words := []string{[...]string{"unknown", "up", "down", "down (timeouts)"}[s.Health()]}
	for _, w := range []struct {
		holds bool
		word  string
	}{
		{s.Suspect(), "suspect"},
		{s.Leaving(), "leaving"},
		{s.DrainingHard(), "draining hard"},
		{s.Draining() && !s.DrainingHard(), "draining"},
	} {
		if w.holds {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ", ")
}

// Change is one change of the state of an upstream, or of several of one server at once.
type Change struct {
	// Upstreams are those whose state changed, one at least.
	Upstreams []*Upstream
	// Before and After are what their states had and have in common.
	Before, After State
	// Reason says why, in words that hold no address.
	Reason string
}

// Name says who changed: the upstream, or the server of several.
func (c *Change) Name() string {
	if len(c.Upstreams) == 1 {
		return c.Upstreams[0].Name()
	}
	return c.Upstreams[0].Server.Name()
}

// State is the state now.
func (u *Upstream) State() State { return State(u.state.Load()) }

// State is what the states of all its upstreams have in common.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stateLocked()
}

func (s *Server) stateLocked() State {
	shared := ^State(0)
	for _, u := range s.upstreams {
		shared &= u.State()
	}
	return shared
}

// Since tells when and why the health last changed.
func (s *Server) Since() (time.Time, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.reason
}

// change clears and sets bits of one upstream, or of all where one is nil, and tells onChange if that made a difference.
func (s *Server) change(one *Upstream, clear, set State, reason string) {
	c := s.set(one, clear, set, reason)
	if len(c.Upstreams) > 0 {
		s.onChange(c)
	}
}

func (s *Server) set(one *Upstream, clear, set State, reason string) Change {
	c := Change{Before: ^State(0), After: ^State(0), Reason: reason}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.upstreams {
		before := u.State()
		after := before&^clear | set
		if after == before || one != nil && one != u {
			continue
		}
		u.state.Store(uint32(after))
		c.Upstreams = append(c.Upstreams, u)
		c.Before &= before
		c.After &= after
	}
	if c.Before.Health() != c.After.Health() {
		s.since, s.reason = time.Now(), reason
	}
	return c
}

// SetHealth is the prober's verdict. It ends suspicion; an upstream that comes up after it was down is no longer
// leaving.
func (s *Server) SetHealth(h Health, reason string) {
	clear := healthMask | suspect
	if before := s.State().Health(); h == Up && before != Up {
		clear |= leaving | leavingConfirmed
	}
	s.change(nil, clear, State(h), reason)
	if h == Down || h == TimedOut {
		s.pool.CloseIdle()
	}
}

// Suspected notes that traffic could not connect, and asks for a probe. Of one that is down it says nothing new.
func (s *Server) Suspected(reason string) {
	if s.State().Health() == Down {
		return
	}
	s.change(nil, 0, suspect, reason)
	select {
	case s.probeWanted <- struct{}{}:
	default: // one is pending already
	}
}

// Cleared notes that a probe succeeded while the health stays as it is.
func (s *Server) Cleared() { s.change(nil, suspect, 0, "probe succeeded") }

// leavingFor is how long an upstream counts as leaving that neither goes down nor says it again.
const leavingFor = 2 * time.Minute

// SaidLeaving notes an answer that says the server is shutting down. The second one, or a probe that fails
// meanwhile, makes it certain.
func (s *Server) SaidLeaving() {
	s.mu.Lock()
	s.left = time.Now()
	s.mu.Unlock()
	if s.State().Leaving() {
		s.change(nil, 0, leavingConfirmed, "it said again that it is shutting down")
		return
	}
	s.change(nil, 0, leaving, "it said that it is shutting down")
}

// ProbeFailed notes a probe that failed, whether or not that changes the verdict.
func (s *Server) ProbeFailed() {
	if s.State().Leaving() {
		s.change(nil, 0, leavingConfirmed, "a probe failed while it was shutting down")
	}
}

// ExpireLeaving forgets after a while that the server said it was leaving.
func (s *Server) ExpireLeaving(now time.Time) {
	if !s.State().Leaving() {
		return
	}
	s.mu.Lock()
	over := now.Sub(s.left) > leavingFor
	s.mu.Unlock()
	if over {
		s.change(nil, leaving|leavingConfirmed, 0, "it did not shut down")
	}
}

// byOperator and byConfiguration are the reasons of drains.
const (
	byOperator      = "by the operator"
	byConfiguration = "by the configuration"
)

// Drain sends no new sessions there; hard moves pinned ones too, at their next request.
func (u *Upstream) Drain(hard bool) { u.change(u, draining|drainingHard, drained(hard), byOperator) }

// Undrain takes Drain back, but not a drain of the configuration.
func (u *Upstream) Undrain() { u.change(u, draining|drainingHard, 0, byOperator) }

// Drain drains all upstreams of the server.
func (s *Server) Drain(hard bool) { s.change(nil, draining|drainingHard, drained(hard), byOperator) }

// Undrain takes the drains of all upstreams of the server back.
func (s *Server) Undrain() { s.change(nil, draining|drainingHard, 0, byOperator) }

func drained(hard bool) State {
	if hard {
		return draining | drainingHard
	}
	return draining
}

func (s *Server) configureDrain(drain bool) {
	if drain {
		s.change(nil, 0, drainConfigured, byConfiguration)
		return
	}
	s.change(nil, drainConfigured, 0, byConfiguration)
}
