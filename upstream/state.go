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
	leavingSure
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

// LeavingForCertain reports whether that was confirmed, by a second such answer or a failed probe.
func (s State) LeavingForCertain() bool { return s&leavingSure != 0 }

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

// Change is one change of an upstream's state.
type Change struct {
	Upstream      *Upstream
	Before, After State
	// Reason says why, in words that hold no address.
	Reason string
}

// State is the state now.
func (u *Upstream) State() State { return State(u.state.Load()) }

// Since tells when and why the health last changed.
func (u *Upstream) Since() (time.Time, string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.since, u.reason
}

// change clears and sets bits, and tells onChange if that made a difference.
func (u *Upstream) change(clear, set State, reason string) {
	for {
		before := u.State()
		after := before&^clear | set
		if after == before {
			return
		}
		if !u.state.CompareAndSwap(uint32(before), uint32(after)) {
			continue
		}
		if before.Health() != after.Health() {
			u.mu.Lock()
			u.since, u.reason = time.Now(), reason
			u.mu.Unlock()
		}
		u.onChange(Change{Upstream: u, Before: before, After: after, Reason: reason})
		return
	}
}

// SetHealth is the prober's verdict. It ends suspicion; an upstream that comes up after it was down is no longer
// leaving.
func (u *Upstream) SetHealth(h Health, reason string) {
	clear := healthMask | suspect
	if before := u.State().Health(); h == Up && before != Up {
		clear |= leaving | leavingSure
	}
	u.change(clear, State(h), reason)
	if h == Down || h == TimedOut {
		u.pool.drop()
	}
}

// Suspected notes that traffic could not connect, and asks for a probe. Of one that is down it says nothing new.
func (u *Upstream) Suspected(reason string) {
	if u.State().Health() == Down {
		return
	}
	u.change(0, suspect, reason)
	select {
	case u.trouble <- struct{}{}:
	default: // one is pending already
	}
}

// Cleared notes that a probe succeeded while the health stays as it is.
func (u *Upstream) Cleared() { u.change(suspect, 0, "probe succeeded") }

// leavingFor is how long an upstream counts as leaving that neither goes down nor says it again.
const leavingFor = 2 * time.Minute

// SaidLeaving notes an answer that says the server is shutting down. The second one, or a probe that fails
// meanwhile, makes it certain.
func (u *Upstream) SaidLeaving() {
	u.mu.Lock()
	u.left = time.Now()
	u.mu.Unlock()
	if u.State().Leaving() {
		u.change(0, leavingSure, "it said again that it is shutting down")
		return
	}
	u.change(0, leaving, "it said that it is shutting down")
}

// ProbeFailed notes a probe that failed, whether or not that changes the verdict.
func (u *Upstream) ProbeFailed() {
	if u.State().Leaving() {
		u.change(0, leavingSure, "a probe failed while it was shutting down")
	}
}

// ExpireLeaving forgets after a while that the server said it was leaving.
func (u *Upstream) ExpireLeaving(now time.Time) {
	if !u.State().Leaving() {
		return
	}
	u.mu.Lock()
	over := now.Sub(u.left) > leavingFor
	u.mu.Unlock()
	if over {
		u.change(leaving|leavingSure, 0, "it did not shut down")
	}
}

// Drain sends no new sessions there; hard moves pinned ones too, at their next request.
func (u *Upstream) Drain(hard bool) {
	set := draining
	if hard {
		set |= drainingHard
	}
	u.change(draining|drainingHard, set, "by the operator")
}

// Undrain takes Drain back, but not a drain of the configuration.
func (u *Upstream) Undrain() { u.change(draining|drainingHard, 0, "by the operator") }
