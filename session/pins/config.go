package pins

import (
	"fmt"
	"time"
)

// Config is the part of the session configuration that bounds the session map.
type Config struct {
	// TTL is how long a pin lives after its last use, 1s..720h.
	TTL time.Duration `yaml:"ttl"`
	// Max bounds the number of pins, 1000..100000000.
	Max int `yaml:"max"`
	// DrainIdle is how long a session must be silent before a drain counts it as idle, 1s..5m.
	DrainIdle time.Duration `yaml:"drain_idle"`
	// Snapshot is the file that keeps the pins over a restart; if empty, a restart forgets them.
	Snapshot string `yaml:"snapshot"`
}

// Default returns the default configuration.
func Default() Config { return Config{TTL: time.Hour, Max: 1_000_000, DrainIdle: time.Minute} }

// Validate reports every problem: its key below session, and its text.
func (c *Config) Validate(report func(key, problem string)) {
	if c.TTL < time.Second || c.TTL > 720*time.Hour {
		report("ttl", fmt.Sprintf("%v, want 1s..720h", c.TTL))
	}
	if c.DrainIdle < time.Second || c.DrainIdle > MaxActive {
		report("drain_idle", fmt.Sprintf("%v, want 1s..5m", c.DrainIdle))
	}
	if c.Max < 1000 || c.Max > 100_000_000 {
		report("max", fmt.Sprintf("%d, want 1000..100000000", c.Max))
	}
}
