package balance

import (
	"fmt"
	"time"
)

// Config is the part of the session configuration that says how the load of upstreams counts.
type Config struct {
	// Placement says how new sessions, and those that lose their server, get their places: auto, home or load.
	Placement Placement `yaml:"placement"`
	// MoveWhenBusierBy is the time by which the server of a pinned session may be busier than another one before the session moves,
	// besides twice the time of what is cached: 0s..1h, or off.
	MoveWhenBusierBy Move `yaml:"move_when_busier_by"`
}

// Placement says how sessions get their places.
type Placement string

const (
	// Auto is Load, and Home in a process that finds out that it is one of several that do not share pins.
	Auto Placement = "auto"
	// Home places by the ring alone. All processes with the same upstreams place alike.
	Home Placement = "home"
	// Load places by the ring, unless the home of a session is much busier than another upstream.
	Load Placement = "load"
)

// Move is a time, or Never.
type Move time.Duration

// Never keeps pinned sessions where they are, however busy their servers are.
const Never Move = -1

const off = "off"

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Move) UnmarshalText(text []byte) error {
	if string(text) == off {
		*m = Never
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q, want a time such as 6s, or off", text)
	}
	*m = Move(d)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (m Move) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// String returns the time as the configuration writes it.
func (m Move) String() string {
	if m < 0 {
		return off
	}
	return time.Duration(m).String()
}

// Default returns the default configuration.
func Default() Config { return Config{Placement: Auto, MoveWhenBusierBy: defaultMove} }

// Validate reports every problem: its key below session, and its text.
func (c *Config) Validate(report func(key, problem string)) {
	if c.Placement != Auto && c.Placement != Home && c.Placement != Load {
		report("placement", fmt.Sprintf("%q, want auto, home or load", c.Placement))
	}
	if c.MoveWhenBusierBy > Move(time.Hour) {
		report("move_when_busier_by", fmt.Sprintf("%v, want 0s..1h or off", c.MoveWhenBusierBy))
	}
}
