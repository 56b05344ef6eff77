package upstream

import "strings"

// State is everything that decides whether an upstream may get a request, in one word.
type State uint32

// Health is the prober's last verdict.
type Health uint8

const (
	// Unknown says that there is no verdict yet. The upstream is not usable.
	Unknown Health = iota
	// Up says that the upstream is usable.
	Up
	// Down says that the upstream is not usable: connections to it fail, or its answers are wrong.
	Down
	// TimedOut says that the upstream is down by probe timeouts alone.
	TimedOut
)

const (
	healthMask State = 3
	suspect    State = 1 << (iota + 1)
	leaving
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

// LeavingConfirmed reports whether Leaving was confirmed, by a second such answer or a failed probe.
func (s State) LeavingConfirmed() bool { return s&leavingConfirmed != 0 }

// Draining reports whether no new sessions are wanted, by an operator or the configuration.
func (s State) Draining() bool { return s&(draining|drainingHard|drainConfigured) != 0 }

// DrainingHard reports whether pinned sessions must go elsewhere as well.
func (s State) DrainingHard() bool { return s&drainingHard != 0 }

// Words describes the state for people: "up", "down, draining".
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
