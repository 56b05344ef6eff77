package session

import (
	"fmt"

	"tether/session/balance"
)

// Config is the part of the session configuration that says where sessions go.
type Config struct {
	// Return says where sessions go when the server that they were moved away from is back: stay or home.
	Return Return `yaml:"return"`
	// OpeningMaxInFlight is how many requests may be in flight under one derived id or prompt_cache_key before the id
	// counts as a crowd, 1..10000.
	OpeningMaxInFlight int `yaml:"opening_max_in_flight"`
	// MaxInFlight is how many requests may be in flight under one id of a client before the id counts as a crowd, 1..10000.
	// Requests of an agent's sub-agents do not count.
	MaxInFlight int `yaml:"max_in_flight"`
	// Shed refuses new conversations while all servers are busy.
	Shed Shed `yaml:"shed"`
	// Balance says how the load of upstreams counts.
	Balance balance.Config `yaml:",inline"`
	// Affinity is false to send requests round robin and to pin nothing, for comparison. Only a flag sets it.
	Affinity bool `yaml:"-"`
}

// Return says where moved sessions go when their first server is back.
type Return string

const (
	// Stay leaves them where their cache now is.
	Stay Return = "stay"
	// Home sends them back.
	Home Return = "home"
)

// Default returns the default configuration.
func Default() Config {
	return Config{Return: Stay, OpeningMaxInFlight: 8, MaxInFlight: 16, Balance: balance.Default(), Affinity: true}
}

// Validate reports every problem: its key below session, and its text.
func (c *Config) Validate(report func(key, problem string)) {
	c.Balance.Validate(report)
	if c.Return != Stay && c.Return != Home {
		report("return", fmt.Sprintf("%q, want stay or home", c.Return))
	}
	if c.OpeningMaxInFlight < 1 || c.OpeningMaxInFlight > 10_000 {
		report("opening_max_in_flight", fmt.Sprintf("%d, want 1..10000", c.OpeningMaxInFlight))
	}
	if c.MaxInFlight < 1 || c.MaxInFlight > 10_000 {
		report("max_in_flight", fmt.Sprintf("%d, want 1..10000", c.MaxInFlight))
	}
	c.Shed.validate(report)
}
